"""nginx: one worker, sendfile, and a cache of open files, as its manual advises for speed."""
from __future__ import absolute_import, division, print_function

import os
import sys

CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid %(folder)s.nginx.pid; error_log stderr;
events { worker_connections 4096; }
http {
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000000;
    types { text/plain txt; }
    client_body_temp_path %(folder)s.nginx; proxy_temp_path %(folder)s.nginx;
    fastcgi_temp_path %(folder)s.nginx; uwsgi_temp_path %(folder)s.nginx;
    scgi_temp_path %(folder)s.nginx;
    server { listen 127.0.0.1:%(port)s; root %(folder)s; }
}
"""

if __name__ == "__main__":
    port, folder = sys.argv[1:]
    path = folder + ".nginx.conf"
    with open(path, "w") as target:
        target.write(CONFIGURATION % {"folder": folder, "port": port})
    os.execvp("nginx", ["nginx", "-c", path, "-e", "stderr"])
