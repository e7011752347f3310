"""Who may do what, and what nobody learns: administration, keys, domains of cached prompts, TLS, what is logged."""
import hashlib
import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from server_common import WICK, Server, eventually, make_model

pytestmark = pytest.mark.skipif(not WICK, reason="WICK_BIN is not set")
ADMIN, FIRST, SECOND = "admin-key-0123456789", "first-key-0123456789", "second-key-0123456789"
NOBODY = {"Authorization": None}


def auth(key):
    return {"Authorization": "Bearer " + key}


def sha(key):
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    make_model(folder / "tiny")
    return folder


@pytest.fixture(scope="module")
def open_server(models):
    """Without keys."""
    with Server(models / "tiny", "--model-dir", models, "--cors-origin", "https://app.example") as s:
        yield s


def keyed_config(models, folder, **server):
    path = folder / "server.yaml"
    keys = [{"name": "admin", "sha256": sha(ADMIN), "scopes": ["infer", "metrics", "admin"]}, {"name": "first", "sha256": sha(FIRST)},
            {"name": "second", "sha256": sha(SECOND)}]
    path.write_text(json.dumps({"models": [{"path": str(models / "tiny")}], "keys": keys, "server": server}))
    return path


@pytest.fixture(scope="module")
def keyed(models, tmp_path_factory):
    with Server("--config", keyed_config(models, tmp_path_factory.mktemp("keyed"))) as s:
        yield s


def command(*args, **env):
    full = {k: v for k, v in os.environ.items() if not k.startswith("WICK_") or k == "WICK_CPU"} | env
    return subprocess.run([WICK, *map(str, args)], capture_output=True, text=True, timeout=60, env=full)


# --- administration
ADMINISTRATION = [("GET", "/admin/models", None), ("POST", "/admin/models/load", {"model": "x", "path": "/etc/passwd"}),
                  ("POST", "/admin/models/unload", {"model": "tiny"}), ("GET", "/admin/keys", None), ("POST", "/admin/keys", {"name": "mine"}),
                  ("DELETE", "/admin/keys/first", None), ("POST", "/admin/cache/clear", {}), ("POST", "/admin/drain", {})]


@pytest.mark.parametrize("method,path,body", ADMINISTRATION)
def test_administration_needs_a_key_on_loopback_too(open_server, method, path, body):
    for headers in (NOBODY, auth("wick-" + "0" * 48), auth("")):
        status, h, answer = open_server.request(method, path, body, headers=headers)
        assert status == 401 and "www-authenticate" in h and "passwd" not in json.dumps(answer)
    assert open_server.chat()[0] == 200  # everything else is open, as before


def test_the_same_user_administers_with_nothing_to_configure(open_server):
    path = open_server.state / f"serve-{open_server.port}.key"
    assert path.stat().st_mode & 0o777 == 0o600 and path.stat().st_uid == os.getuid()
    url = f"http://127.0.0.1:{open_server.port}"
    r = command("admin", "models", "--url", url)
    assert r.returncode == 0 and json.loads(r.stdout)["data"][0]["id"] == "tiny", r.stderr
    assert command("admin", "cache-clear", "--url", url + "/v1").returncode == 0
    assert command("admin", "models", "--url", url, XDG_STATE_HOME="/nonexistent").returncode != 0  # another user has another one
    assert command("chat", "hi", "-n", "2", "--url", url).returncode == 0


def test_the_local_key_goes_with_its_server(models):
    s = Server(models / "tiny")
    path = s.state / f"serve-{s.port}.key"
    key = s.local_key
    assert len(key) == 53 and s.get("/admin/models")[0] == 200
    s.stop()
    assert not path.exists()
    with Server(models / "tiny") as other:
        assert other.local_key != key and other.get("/admin/models", headers=auth(key))[0] == 401


def test_a_server_without_a_place_for_the_key_serves_and_nobody_administers(models, tmp_path):
    (tmp_path / "file").write_text("")
    with Server(models / "tiny", env={"XDG_STATE_HOME": str(tmp_path / "file")}) as s:
        assert s.chat()[0] == 200 and s.get("/admin/models", headers=NOBODY)[0] == 401
        _, err = s.stop()
        assert "wick admin has no key" in err


def test_models_come_from_the_folders_that_were_named(open_server, models, tmp_path):
    make_model(tmp_path / "secret")
    before = open_server.get("/admin/models")[2]
    load = lambda path, name="x": open_server.post("/admin/models/load", {"model": name, "path": str(path)})
    (models / "link").symlink_to(tmp_path / "secret")
    for path in ("/etc/passwd", "/proc/self/environ", tmp_path / "secret", models / ".." / "nowhere", "/nowhere", "../x", "~/x", models / "link"):
        status, _, body = load(path)
        assert status == 400 and body["error"]["param"] == "path" and "model_dirs" in body["error"]["message"], (path, body)
    assert open_server.post("/admin/models/load", {"model": str(tmp_path / "secret")})[0] == 400
    assert [m["id"] for m in open_server.get("/admin/models")[2]["data"]] == [m["id"] for m in before["data"]]
    assert load(models / "tiny", "again")[0] == 200
    assert open_server.post("/admin/models/unload", {"model": "again", "forget": True})[0] == 200


def test_errors_name_no_path_and_no_content_without_the_right_to_administer(models, tmp_path):
    bad = tmp_path / "SECRET-PLACE"
    bad.mkdir()
    (bad / "config.json").write_text('{"model_type": "SECRET-CONTENT", "vocab_size": 7}')
    (bad / "model.safetensors").write_bytes(b"SECRET-BYTES" * 10)
    path = tmp_path / "server.yaml"
    path.write_text(json.dumps({"models": [{"path": str(models / "tiny")}, {"path": str(bad), "id": "bad", "preload": False}],
                                "keys": [{"name": "a", "sha256": sha(ADMIN), "scopes": ["infer", "metrics", "admin"]}, {"name": "f", "sha256": sha(FIRST), "scopes": ["infer", "metrics"]}]}))
    with Server("--config", path) as s:
        said = [s.post("/v1/completions", {"model": "bad", "prompt": "x"}, headers=auth(FIRST)), s.post("/api/show", {"model": "bad"}, headers=auth(FIRST)), s.post("/tokenize", {"model": "bad", "content": "x"}, headers=auth(FIRST)),
                s.get("/v1/models", headers=auth(FIRST)), s.get("/v1/models/bad", headers=auth(FIRST)), s.get("/status", headers=auth(FIRST)),
                s.get("/metrics", headers=auth(FIRST)), s.get("/props", headers=auth(FIRST)), s.get("/api/tags", headers=auth(FIRST))]
        assert said[0][0] == 500
        for status, _, body in said:
            assert "SECRET" not in str(body) and str(tmp_path) not in str(body), body
        full = s.get("/admin/models", headers=auth(ADMIN))[2]
        assert "SECRET-PLACE" in json.dumps(full) and "SECRET-PLACE" in json.dumps(s.get("/status", headers=auth(ADMIN))[2])


# --- web pages
def test_any_origin_needs_a_key(models):
    r = command("serve", models / "tiny", "--port", "0", "--cors-origin", "*")
    assert r.returncode == 2 and "cors-origin" in r.stderr
    with Server(models / "tiny", "--cors-origin", "*", env={"WICK_API_KEY": ADMIN}) as s:
        assert s.get("/v1/models", headers=auth(ADMIN) | {"Origin": "https://any.example"})[1]["access-control-allow-origin"]


@pytest.mark.parametrize("path", ["/admin/models", "/admin/keys", "/admin/models/load", "//admin//models/", "/admin/keys/x"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_administration_never_answers_foreign_pages(open_server, path, method):
    origin = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}  # listed: it may call the rest
    status, h, _ = open_server.request(method, path, {} if method == "POST" else None, headers=origin | auth(open_server.local_key))
    assert status == 403 and "access-control-allow-origin" not in h
    assert open_server.get("/v1/models", headers=origin)[1]["access-control-allow-origin"] == "https://app.example"


# --- cached prompts
PROMPT = "the quick brown fox jumps over the lazy dog and packs five dozen liquor jugs"


def cached(server, key, **more):
    status, _, body = server.post("/v1/completions", {"prompt": PROMPT, "max_tokens": 1, "temperature": 0, **more}, headers=auth(key))
    assert status == 200, body
    return body["usage"]["prompt_tokens_details"]["cached_tokens"]


def test_prompts_are_shared_within_a_domain_only(keyed):
    assert keyed.post("/admin/cache/clear", {}, headers=auth(ADMIN))[0] == 200
    assert cached(keyed, FIRST) == 0 and cached(keyed, FIRST) > 0
    assert cached(keyed, SECOND) == 0 and cached(keyed, FIRST, user="a") == 0 and cached(keyed, FIRST, user="a") > 0
    assert cached(keyed, FIRST, user="b") == 0 and cached(keyed, SECOND, user="a") == 0


def colliding_names():
    """Two names of users that met when names were hashed without a secret: mix(h ^ part, constant) part by part, so that a second part makes
    up for any first one. (The hash is base/map.c's; it is for tables, and seeded there.)"""
    mask = (1 << 64) - 1

    def mix(a, b):
        r = a * b
        return (r & mask) ^ (r >> 64)
    start, by_first = 1 ^ 0x9E3779B97F4A7C15 ^ 16, []
    for i in range(4000):
        first = f"{i:08d}".encode()
        h = mix(start ^ struct.unpack("<Q", first)[0], 0xD6E8FEB86659FD93)
        for other, g in by_first:
            second = struct.pack("<Q", h ^ g ^ struct.unpack("<Q", b"@" * 8)[0])
            if all(32 <= c < 127 for c in second):
                return (first + b"@" * 8).decode(), (other + second).decode()
        by_first.append((first, h))
    raise AssertionError("none found")


def test_names_of_users_cannot_be_chosen_to_meet(keyed):
    assert keyed.post("/admin/cache/clear", {}, headers=auth(ADMIN))[0] == 200
    one, other = colliding_names()
    assert one != other and cached(keyed, FIRST, user=one) == 0 and cached(keyed, FIRST, user=other) == 0
    assert cached(keyed, SECOND, user=one) == 0 and cached(keyed, FIRST, user=one) > 0


def test_a_key_that_is_removed_takes_all_of_its_prompts_along(keyed):
    admin = auth(ADMIN)
    made = keyed.post("/admin/keys", {"name": "short-lived"}, headers=admin)[2]["key"]
    for user in (None, "u1", "u2"):
        more = {"user": user} if user else {}
        assert cached(keyed, made, **more) == 0 and cached(keyed, made, **more) > 0
    entries = lambda: float(next(l for l in keyed.get("/metrics", headers=admin)[2].splitlines() if l.startswith("wick_prefix_cache_entries{")).split()[-1])
    before = entries()
    assert keyed.request("DELETE", "/admin/keys/short-lived", headers=admin)[0] == 200
    assert eventually(lambda: entries() == before - 3), (before, entries())
    again = keyed.post("/admin/keys", {"name": "short-lived"}, headers=admin)[2]["key"]
    assert again != made and all(cached(keyed, again, **({"user": u} if u else {})) == 0 for u in (None, "u1", "u2"))
    assert keyed.request("DELETE", "/admin/keys/short-lived", headers=admin)[0] == 200


def test_stored_responses_belong_to_the_secret_and_not_to_its_name(keyed):
    admin = auth(ADMIN)
    made = keyed.post("/admin/keys", {"name": "teller"}, headers=admin)[2]["key"]
    status, _, r = keyed.post("/v1/responses", {"input": "hello", "max_output_tokens": 16}, headers=auth(made))
    assert status == 200 and keyed.get("/v1/responses/" + r["id"], headers=auth(made))[0] == 200
    assert keyed.get("/v1/responses/" + r["id"], headers=auth(FIRST))[0] == 404
    assert keyed.request("DELETE", "/admin/keys/teller", headers=admin)[0] == 200
    again = keyed.post("/admin/keys", {"name": "teller"}, headers=admin)[2]["key"]
    assert keyed.get("/v1/responses/" + r["id"], headers=auth(again))[0] == 404
    assert keyed.request("DELETE", "/admin/keys/teller", headers=admin)[0] == 200


# --- keys
def test_keys_are_long_enough(models, tmp_path):
    for key, code in (("a" * 15, 2), ("a" * 16, 0)):
        (tmp_path / "k").write_text(key + "\n")
        (tmp_path / "k").chmod(0o600)
        if code:
            r = command("serve", models / "tiny", "--port", "0", "--api-key-file", tmp_path / "k")
            assert r.returncode == code and "16 to 512" in r.stderr and key not in r.stderr
        else:
            with Server(models / "tiny", "--api-key-file", tmp_path / "k") as s:
                assert s.get("/v1/models", headers=auth(key))[0] == 200


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


NO_ID = 0xFFFFFFFF


@pytest.mark.parametrize("why,entries,good", [
    ("as systemd leaves a credential: read by this user", [(1, 6, NO_ID), (2, 4, os.geteuid()), (4, 0, NO_ID), (16, 4, NO_ID), (32, 0, NO_ID)], True),
    ("another user may read it", [(1, 6, NO_ID), (2, 4, os.geteuid() + 1), (4, 0, NO_ID), (16, 4, NO_ID), (32, 0, NO_ID)], False),
    ("another group may read it", [(1, 6, NO_ID), (4, 0, NO_ID), (8, 4, 4242), (16, 4, NO_ID), (32, 0, NO_ID)], False),
    ("its group may read it", [(1, 6, NO_ID), (2, 4, os.geteuid()), (4, 4, NO_ID), (16, 4, NO_ID), (32, 0, NO_ID)], False),
    ("everybody may read it", [(1, 6, NO_ID), (2, 4, os.geteuid()), (4, 0, NO_ID), (16, 4, NO_ID), (32, 4, NO_ID)], False)])
def test_access_lists_of_key_files(models, tmp_path, why, entries, good):
    path = tmp_path / "k"
    path.write_text(ADMIN + "\n")
    path.chmod(0o600)
    try:
        os.setxattr(path, "system.posix_acl_access", acl(*entries))
    except OSError as e:
        pytest.skip(f"this file system has no access lists: {e}")
    assert path.stat().st_mode & 0o070
    if good:
        with Server(models / "tiny", "--api-key-file", path) as s:
            assert s.get("/v1/models", headers=auth(ADMIN))[0] == 200
    else:
        r = command("serve", models / "tiny", "--port", "0", "--api-key-file", path)
        assert r.returncode == 2 and "chmod 600" in r.stderr, why


def test_guesses_are_slowed_and_right_keys_are_not(models):
    with Server(models / "tiny", env={"WICK_API_KEY": ADMIN}) as s:
        t0 = time.monotonic()
        for i in range(20):
            assert s.get("/v1/models", headers=auth(f"wrong-{i:016}"))[0] == 401
        quick = time.monotonic() - t0
        t0 = time.monotonic()
        assert s.get("/v1/models", headers=auth("wrong" * 5))[0] == 401
        assert time.monotonic() - t0 > 0.8
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(s.get("/v1/models", headers=auth("wrong" * 6), timeout=60)[0])) for _ in range(100)]
        t0 = time.monotonic()
        [t.start() for t in threads]
        eventually(lambda: answers)  # some are held now
        for _ in range(5):
            t1 = time.monotonic()
            assert s.get("/v1/models", headers=auth(ADMIN))[0] == 200
            assert time.monotonic() - t1 < max(0.5, quick), "whoever has a key does not wait"
        assert sum(a == 401 for a in answers) < 20 and answers.count(0) > 50  # few are answered, most are shut out
        s.process.terminate()
        [t.join() for t in threads]
        assert s.process.wait(40) == 0


def test_warnings_name_the_address_and_the_key_and_are_not_endless(models):
    with Server(models / "tiny", env={"WICK_API_KEY": ADMIN}) as s:
        for i in range(5):
            s.get("/v1/models", headers=auth(f"guessed-secret-{i}"))
        s.post("/admin/cache/clear", {}, headers=auth(ADMIN))
        s.request("DELETE", "/admin/keys/nobody%1b[2J", headers=auth(ADMIN))
        for i in range(100):
            s.post("/admin/cache/clear", {}, headers=auth(ADMIN))
        code, err = s.stop()
    lines = err.splitlines()
    assert sum("wrong API key from 127.0.0.1 for /v1/models" in x for x in lines) == 5 and all(" warning " in x for x in lines if "wrong API" in x)
    assert any("administration: POST /admin/cache/clear: 200, by key WICK_API_KEY from 127.0.0.1" in x for x in lines)
    assert any("DELETE /admin/keys/{id} nobody\\x1b[2J: 404" in x for x in lines) and "\x1b" not in err
    assert "guessed-secret" not in err and ADMIN not in err and sum("administration" in x for x in lines) < 60


# --- TLS
def make_certificate(folder):
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost"], capture_output=True)
    if made.returncode:
        pytest.skip("openssl is not here")
    (folder / "key.pem").chmod(0o600)


def test_only_new_versions_of_tls_and_a_private_key(models, tmp_path):
    try:
        make_certificate(tmp_path)
    except FileNotFoundError:
        pytest.skip("openssl is not here")
    with Server(models / "tiny", "--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem") as s:
        for version, good in ((ssl.TLSVersion.TLSv1, False), (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            try:
                with context.wrap_socket(s.connect(), server_hostname="localhost") as c:
                    c.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    worked = c.recv(100).startswith(b"HTTP/1.1 200")
            except (ssl.SSLError, OSError):
                worked = False
            assert worked == good, version
    (tmp_path / "key.pem").chmod(0o644)
    r = command("serve", models / "tiny", "--port", "0", "--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    assert r.returncode == 2 and "chmod 600" in r.stderr
