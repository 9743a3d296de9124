"""nginx that passes requests to several servers, over connections that stay open."""
from __future__ import absolute_import, division, print_function

import os
import sys

CONFIGURATION = """
daemon off; worker_processes %(workers)s; pid %(place)s.pid; error_log stderr;
events { worker_connections 4096; }
http {
    access_log off; tcp_nodelay on; keepalive_requests 1000000000;
    client_body_temp_path %(place)s.tmp; proxy_temp_path %(place)s.tmp;
    fastcgi_temp_path %(place)s.tmp; uwsgi_temp_path %(place)s.tmp; scgi_temp_path %(place)s.tmp;
    upstream servers { %(servers)s keepalive 64; keepalive_requests 1000000000; }
    server {
        listen 127.0.0.1:%(port)s;
        location / {
            proxy_pass http://servers; proxy_http_version 1.1;
            proxy_set_header Connection ""; proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
        }
    }
}
"""

if __name__ == "__main__":
    port, folder, workers = sys.argv[1:4]
    place = os.path.join(folder, port)
    with open(place + ".conf", "w") as target:
        target.write(CONFIGURATION % {
            "place": place, "port": port, "workers": workers,
            "servers": "".join("server 127.0.0.1:%s; " % each for each in sys.argv[4:])})
    os.execvp("nginx", ["nginx", "-c", place + ".conf", "-e", "stderr"])
