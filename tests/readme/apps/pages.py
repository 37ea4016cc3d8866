from urllib.parse import quote

from skitai.server import ssgi

app = ssgi.Application (__name__)

@app.route ("/")
def main (was, name = "Python"):
  template = was.app.get_template ('index.html')
  d = {"url": quote ("https://pypi.python.org/pypi"), "name": name}
  return str (template.render (d))

@app.route ("/streaming")
def streaming (was, filename):
  class Stream:
    def __init__ (self, filename):
      self.f = open (filename, "rb")

    def close (self):
      self.f.close ()

    def abort (self):
      # it will be called slient channel is suddnely disconnected
      print ("aborted")
      self.close ()

    def more (self):
      data = self.f.read (4096)
      if not data:
        self.close ()
      return data

  was.request ["Content-Type"] = "video/mp4"
  was.request ["Cache-Control"] = "max-age=0"
  return Stream (filename)
