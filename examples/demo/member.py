"""A member of the demo's cluster: each one knows a part of the catalogue.

All three servers run this same module; a member tells from the port it was asked at which part
is its own.
"""

from skitai.server import ssgi

app = ssgi.Application (__name__)

CATALOGUE = [
    ("Mozart", "The Magic Flute", 1791),
    ("Mozart", "Requiem", 1791),
    ("Mozart", "Symphony No. 41", 1788),
    ("Beethoven", "Eroica", 1804),
    ("Beethoven", "Fidelio", 1805),
    ("Beethoven", "Moonlight Sonata", 1801),
    ("Bach", "Goldberg Variations", 1741),
    ("Bach", "The Art of Fugue", 1751),
    ("Bach", "St Matthew Passion", 1727),
]


@app.route ("/search")
def search (was, keyword):
    host = was.request.get_header ("host")
    part = int (host.rpartition (":") [2]) % 3
    return [
        {"composer": composer, "title": title, "year": year, "from": host}
        for composer, title, year in CATALOGUE [part::3]
        if keyword.lower () in composer.lower ()
    ]
