// Connections may stay idle for 75 seconds instead of 5, or none would be left to measure.
const http = require("http");

const server = http.createServer((request, response) => {
  const path = request.url.split("?")[0];
  const body = `Hello, ${path === "/" ? "world" : path.slice("/hello/".length)}!`;
  response.writeHead(200, {
    "Content-Type": "text/plain",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
});
server.keepAliveTimeout = 75000;
server.listen(Number(process.argv[2]), "127.0.0.1");
