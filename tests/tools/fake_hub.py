"""A hub for the tests: Hugging Face's API (and ModelScope's list) over HTTP or TLS, a store of large files on another port, a proxy.

What it does wrong is said by fields of Hub, so a test reads as: hub.truncate = 3; pull; nothing is damaged."""
import hashlib
import json
import random
import re
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


def git_sha(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def self_signed(folder):
    """A certificate for localhost, which is its own authority."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout", key,
                    "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return key, cert


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


class Hub:
    def __init__(self, tls=None, modelscope=False):
        self.repos, self.gated, self.private, self.renamed = {}, set(), set(), {}
        self.token = "hf_good"
        self.large = 1000            # files of this length and more are in the store
        self.modelscope = modelscope
        self.answers = {"api": [], "resolve": [], "store": []}  # (status, headers) of the next answers
        self.truncate = self.stall = self.corrupt = 0           # of so many answers of the store
        self.ignore_ranges = self.wrong_length = self.wrong_range = self.no_hashes = self.listed_size_off = False
        self.other_etag = None
        self.extra_names = []
        self.store_scheme = None     # to lead from https to http
        self.rate = None             # bytes a second of each answer
        self.log = []                # (server, method, path, headers)
        self.lock = threading.Lock()
        self.served = 0              # bytes of contents
        self.tls = tls
        self.servers = []
        self.api = self.start("api", tls)
        self.store = self.start("store", tls)
        self.url = f"{'https' if tls else 'http'}://localhost:{self.api}"

    def start(self, kind, tls):
        hub = self

        class Handler(HubHandler):
            server_kind, owner = kind, hub
        server = Quiet(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls[1], tls[0])
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.servers.append(server)
        return server.server_address[1]

    def close(self):
        for s in self.servers:
            s.shutdown()
            s.server_close()

    def add(self, repo, files, revision="main", commit=None):
        commit = commit or hashlib.sha1((repo + revision + str(len(files)) + "".join(sorted(files))).encode()).hexdigest()
        self.repos.setdefault(repo, {})[revision] = (commit, files)
        return commit

    def find(self, repo, revision):
        revs = self.repos.get(repo, {})
        if revision in revs:
            return revs[revision]
        return next((r for r in revs.values() if r[0] == revision), None)

    def listing(self, repo, commit, files):
        out = []
        for name, data in files.items():
            x = {"rfilename": name}
            if not self.no_hashes:
                x["size"] = len(data) + (7 if self.listed_size_off and len(data) >= self.large else 0)
                x["blobId"] = git_sha(data)
                if len(data) >= self.large:
                    x["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": x["size"], "pointerSize": 130}
            out.append(x)
        out += [{"rfilename": n, "size": 3, "blobId": git_sha(b"abc")} for n in self.extra_names]
        return {"id": repo, "sha": commit, "siblings": out}

    def requests(self, server=None, part=""):
        return [r for r in self.log if (server is None or r[0] == server) and part in r[2]]


class HubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def send(self, status, body=b"", **headers):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), str(v))
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub = self.owner
        with hub.lock:
            hub.log.append((self.server_kind, self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        try:
            self.store() if self.server_kind == "store" else self.hub()
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    def scripted(self, kind):
        with self.owner.lock:
            if not self.owner.answers[kind]:
                return False
            status, headers = self.owner.answers[kind].pop(0)
        self.send(status, b"no", **headers)
        return True

    def allowed(self, repo):
        hub, given = self.owner, self.headers.get("Authorization")
        if given and given != f"Bearer {hub.token}":
            self.send(401, X_Error_Message="Invalid credentials in Authorization header")
        elif repo in hub.private and not given:
            self.send(401, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        elif repo not in hub.repos:
            self.send(404 if given else 401, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        else:
            return True
        return False

    def hub(self):
        hub, url = self.owner, urlsplit(self.path)
        path = unquote(url.path)
        if path == "/api/whoami-v2":
            good = self.headers.get("Authorization") == f"Bearer {hub.token}"
            return self.send(200, b'{"name": "somebody"}') if good else self.send(401, X_Error_Message="Invalid user token.")
        ms = re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)/repo/files", path)
        if ms and hub.modelscope:
            commit, files = hub.find(ms[1], "main")
            listed = [{"Path": n, "Size": len(d), "Sha256": hashlib.sha256(d).hexdigest(), "Type": "blob", "Revision": commit} for n, d in files.items()]
            return self.send(200, json.dumps({"Code": 200, "Data": {"Files": listed + [{"Path": "dir", "Type": "tree"}]}}).encode())
        m = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/(.+)", path)
        if m:  # what huggingface_hub asks for
            tree = []
            for n, d in hub.find(m[1], m[2])[1].items():
                tree.append({"type": "file", "path": n, "size": len(d), "oid": git_sha(d)})
                if len(d) >= hub.large:
                    tree[-1]["lfs"] = {"oid": hashlib.sha256(d).hexdigest(), "size": len(d), "pointerSize": 130}
            return self.send(200, json.dumps(tree).encode(), Content_Type="application/json")
        m = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
        if m:
            repo = m[1]
            if self.scripted("api"):
                return
            if repo in hub.renamed:
                return self.send(307, Location=self.path.replace(repo, hub.renamed[repo]))
            if not self.allowed(repo):
                return
            found = hub.find(repo, unquote(m[2] or "main"))
            if not found:
                return self.send(404, X_Error_Code="RevisionNotFound", X_Error_Message="Invalid rev id")
            return self.send(200, json.dumps(hub.listing(repo, *found)).encode(), Content_Type="application/json")
        m = re.fullmatch(r"(?:/models)?/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if not m:
            return self.send(404)
        if self.scripted("resolve"):
            return
        repo, revision, name = m[1], m[2], m[3]
        if repo in hub.renamed:
            return self.send(307, Location=self.path.replace(repo, hub.renamed[repo]))
        if not self.allowed(repo):
            return
        if repo in hub.gated:
            return self.send(403 if self.headers.get("Authorization") else 401, X_Error_Code="GatedRepo", X_Error_Message="Access is restricted")
        found = hub.find(repo, revision)
        if not found or name not in found[1]:
            return self.send(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found")
        data = found[1][name]
        sha = hashlib.sha256(data).hexdigest()
        if len(data) >= hub.large:
            scheme = hub.store_scheme or ("https" if hub.tls else "http")
            return self.send(302, Location=f"{scheme}://127.0.0.1:{hub.store}/{repo}/{name}?sha={sha}&sig=secret", X_Linked_Etag=f'"{hub.other_etag or sha}"',
                             X_Linked_Size=len(data), X_Repo_Commit=found[0], ETag='"pointer"')
        self.contents(data, X_Repo_Commit=found[0], ETag=f'"{hub.other_etag or git_sha(data)}"')

    def store(self):
        hub = self.owner
        if self.scripted("store"):
            return
        sha = re.search(r"sha=(\w+)", self.path)[1]
        for revs in hub.repos.values():
            for _, files in revs.values():
                for data in files.values():
                    if len(data) >= hub.large and hashlib.sha256(data).hexdigest() == sha:
                        return self.contents(data, ETag=f'"{random.randbytes(4).hex()}"')
        self.send(404)

    def contents(self, data, **headers):
        hub, status, total = self.owner, 200, len(data)
        m = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if m and not hub.ignore_ranges:
            a, b = int(m[1]), int(m[2] or total - 1)
            data, status = data[a:b + 1], 206
            if hub.wrong_range:
                a += 1
            headers["Content_Range"] = f"bytes {a}-{min(b, total - 1)}/{total}"
        with hub.lock:
            truncate, stall, corrupt = hub.truncate > 0, hub.stall > 0, hub.corrupt > 0
            if self.server_kind == "store":
                hub.truncate -= truncate
                hub.stall -= stall
                hub.corrupt -= corrupt
            else:
                truncate = stall = corrupt = False
        if corrupt:
            data = bytes([data[0] ^ 1]) + data[1:]
        length = len(data) + (5 if hub.wrong_length else 0)
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), str(v))
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        body = data[:len(data) // 2] if truncate or stall else data
        for i in range(0, len(body), 16384):
            self.wfile.write(body[i:i + 16384])
            with hub.lock:
                hub.served += len(body[i:i + 16384])
            if hub.rate:
                time.sleep(16384 / hub.rate)
        if stall:
            time.sleep(4)
        if truncate or stall or hub.wrong_length:
            self.close_connection = True
            self.wfile.flush()
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Proxy:
    """A forward proxy: absolute addresses for http, CONNECT for https. Remembers what went through."""

    def __init__(self):
        seen = self.seen = []

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *a):
                pass

            def do_CONNECT(self):
                seen.append(self.path)
                host, port = self.path.split(":")
                up = socket.create_connection((host.replace("localhost", "127.0.0.1"), int(port)))
                self.send_response(200)
                self.end_headers()
                self.wfile.flush()

                def pump(a, b):
                    try:
                        while data := a.recv(65536):
                            b.sendall(data)
                    except OSError:
                        pass
                    finally:
                        for s in (a, b):
                            try:
                                s.shutdown(socket.SHUT_RDWR)
                            except OSError:
                                pass
                t = threading.Thread(target=pump, args=(self.connection, up), daemon=True)
                t.start()
                pump(up, self.connection)
                t.join()
                self.close_connection = True

            def do_GET(self):
                seen.append(self.path)
                url = urlsplit(self.path)
                up = socket.create_connection(("127.0.0.1", url.port))
                head = "".join(f"{k}: {v}\r\n" for k, v in self.headers.items() if k.lower() not in ("proxy-connection", "connection"))
                up.sendall(f"GET {url.path}{'?' + url.query if url.query else ''} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
                while data := up.recv(65536):
                    self.connection.sendall(data)
                self.close_connection = True
        self.server = Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
