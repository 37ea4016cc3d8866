from skitai.server import ssgi
app = ssgi.Application (__name__)
app.set_devel (True)

@app.route ("/")
def wget (was):
    return "Hello"

@app.route ("/hello/world")
def world (was):
    return "Hello World"
