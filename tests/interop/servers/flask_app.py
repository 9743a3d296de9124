"""A Flask application to test clients against."""
from flask import Flask, Response, jsonify, redirect, request

app = Flask(__name__)


@app.route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def echo():
    return Response(request.get_data(), headers={
        "X-Method": request.method, "X-Query": request.query_string.decode("ascii"),
        "X-Type": request.headers.get("Content-Type", "")})


@app.route("/form", methods=["POST"])
def form():
    return jsonify(fields=request.form.to_dict(flat=False), files={
        name: [file.filename, file.content_type, len(file.read())]
        for name, file in request.files.items()})


@app.route("/stream")
def stream():
    return Response(("line %d\n" % number for number in range(1000)), mimetype="text/plain")


@app.route("/redirect/<int:status>", methods=["GET", "POST"])
def go(status):
    return redirect("/echo?from=%d" % status, status)


@app.route("/cookie")
def cookie():
    response = jsonify(request.cookies.to_dict())
    response.set_cookie("visited", "yes")
    return response


@app.route("/broken")
def broken():
    raise KeyError("on purpose")
