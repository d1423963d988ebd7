"""nginx with the module auth-jwt."""

from __future__ import annotations

from typing import Any

from requests_scitokens.testing import Issuer

from .frame import Row, Server, battery, broken, debian, serving, web_home

CONFIGURATION = """
load_module modules/ngx_http_auth_jwt_module.so;
daemon off;
user www-data;
pid {home}/pid;
error_log {home}/log;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_max_body_size 200m;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  auth_jwt_use_keyfile on;
  auth_jwt_keyfile_path {home}/issuer.pem;
  auth_jwt_algorithm ES256;
  auth_jwt_location HEADER=Authorization;
  auth_jwt_enabled on;
  auth_jwt_redirect off;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {home}/server.pem;
    ssl_certificate_key {home}/server.key;
    root {home}/files;
    location / {{ dav_methods PUT DELETE; }}
  }}
}}
"""


def forky(row: Row) -> None:
    """Try Debian 14's."""
    system = debian("forky")
    row.version = system.version("nginx")
    module = system.version("libnginx-mod-http-auth-jwt")
    row.server += f", auth-jwt {module}"
    with Issuer() as issuer:
        home, port = web_home(system, issuer, issuer.public_key)
        text = CONFIGURATION.format(home=f"/srv/{home.name}", port=port)
        (home / "nginx.conf").write_text(text)
        command = ("nginx", "-e", "stderr", "-c", f"/srv/{home.name}/nginx.conf")
        with serving(system, command, home, port):

            def good(**options: Any) -> str:
                return issuer.mint(audience="ANY", **options)

            bad = {"expired": good(lifetime=-60), "signature": broken(good())}
            url = f"https://localhost:{port}"
            battery(row, Server(url, home / "ca.pem", good, bad, uploads=True))
        row.notes.append("it checks the signature and the time, not scope and audience")
