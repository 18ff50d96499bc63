# SPDX-License-Identifier: Apache-2.0
"""Owns the web site that the cases of delivery run: nginx on three hosts, made of keys and members, and watched."""

import ctypes
import http.client
import os
import pathlib
import threading
import time

import fleet
from fleet import CONFIGURATION, ask, ctl, require
from lab import Trouble, wait

# Where nginx answers on each host: itself with the host's name, and as a load balancer on the port of the key.
OWN_PORT, BALANCED_PORT = 9000, 8080
MAIN, EXTRA = "/etc/nginx/nginx.conf", "/etc/nginx/conf.d/extra.conf"
RELOADS = "/var/log/nginx/reloads"

TEMPLATE = """# round={{round}}
worker_processes 1;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events { worker_connections 512; }
http {
    access_log off;
    upstream app {
{{#web}}
        server {{url_host}}:9000; # {{name}}
{{/web}}
{{^web}}
        server 127.0.0.1:9 down;
{{/web}}
    }
    server {
        listen 9000;
        location / { return 200 "$hostname {{round}}\\n"; }
    }
    server {
        listen {{entry}};
        location / { proxy_pass http://app; proxy_connect_timeout 1s; }
{{#paths}}
        location = /{{name}} { return 200 "{{value}}\\n"; }
{{/paths}}
    }
    include /etc/nginx/conf.d/*.conf;
}
# end
"""

MAIN_DESCRIPTION = f"""destination = "{MAIN}"
template = "/etc/gossipd/templates/site.mustache"
check = ["nginx", "-t", "-c", "{{file}}"]
reload_unit = "nginx.service"
[keys]
entry = {{ key = "web/port", default = "{BALANCED_PORT}" }}
round = {{ key = "web/round", default = "0" }}
[prefixes]
paths = "web/paths/"
[members]
web = {{ tags = {{ role = "web" }} }}
"""

EXTRA_DESCRIPTION = f"""destination = "{EXTRA}"
key = "web/extra"
check = ["/etc/gossipd/check-nginx", "{{file}}"]
reload_unit = "nginx.service"
"""

# As Docs/delivery.md has it.
CHECK = r"""#!/bin/sh
frame=$(mktemp) && trap 'rm -f "$frame"' EXIT
printf 'events {}\nhttp { include %s; }\n' "$1" >"$frame"
nginx -t -q -c "$frame"
"""


def extra(word):
    return f'server {{ listen 9001; location / {{ return 200 "{word}\\n"; }} }}\n'


def inside(host, action):
    """Calls `action` in a thread within the host's network; returns what it returns."""
    result = []

    def body():
        try:
            join_network(host)
            result.append((action(), None))
        except Exception as trouble:  # pylint: disable=broad-exception-caught
            result.append((None, trouble))

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(60)
    require(result, f"{host.name}: no answer in 60 s")
    value, trouble = result[0]
    if trouble:
        raise trouble
    return value


def join_network(host):
    """This thread's network becomes the host's (setns(2), CLONE_NEWNET)."""
    with open(f"/run/netns/{host.mark}", "rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), f"setns to {host.mark}")


def visit(port, path="/"):
    """Status and text of a request to nginx on the host whose network this thread is in."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode().strip()
    finally:
        connection.close()


def fetch(host, port, path="/"):
    return inside(host, lambda: visit(port, path))


def balanced(host, count=12):
    """The hosts that answer `count` requests through this host's load balancer."""
    answers = inside(host, lambda: [visit(BALANCED_PORT) for _ in range(count)])
    require(all(status == 200 for status, _ in answers), f"{host.name}: {answers}")
    return {text.split()[0] for _, text in answers}


class Watch:
    """Reads the delivered files and asks nginx, again and again, until `stop`; remembers what it has seen."""

    def __init__(self, hosts, port=OWN_PORT):
        self.hosts = hosts
        self.port = port
        self.contents = {(host.name, path): {} for host in hosts for path in (MAIN, EXTRA)}
        self.reads = self.answers = 0
        self.failures = []
        self.is_wanted = True
        self.threads = [threading.Thread(target=self._read, daemon=True)]
        self.threads += [threading.Thread(target=self._ask, args=(host,), daemon=True) for host in hosts]
        for thread in self.threads:
            thread.start()

    def _read(self):
        while self.is_wanted:
            for host in self.hosts:
                for path in (MAIN, EXTRA):
                    try:
                        content = (host.root / path[1:]).read_bytes()
                    except OSError as trouble:
                        content = str(trouble).encode()
                    self.contents[host.name, path].setdefault(content, time.monotonic())
                    self.reads += 1
            time.sleep(0.001)

    def _ask(self, host):
        join_network(host)
        while self.is_wanted:
            try:
                status, text = visit(self.port)
                if status != 200:
                    self.failures.append((host.name, status, text))
            except (OSError, http.client.HTTPException) as trouble:
                self.failures.append((host.name, repr(trouble)))
            self.answers += 1
            time.sleep(0.01)

    def stop(self):
        self.is_wanted = False
        for thread in self.threads:
            thread.join(30)

    def seen(self, path):
        return set().union(*(self.contents[host.name, path] for host in self.hosts))


class Site:
    """nginx, delivered to `hosts`; use it with `with`. Leaves no description, tag or key behind."""

    def __init__(self, lab, count=3):
        self.hosts = lab.hosts[:count]
        self.lab = lab

    def __enter__(self):
        try:
            for host in self.hosts:
                host.put("/etc/systemd/system/nginx.service.d/count.conf",
                         f"[Service]\nExecReload=/bin/sh -c 'echo reload >>{RELOADS}'\n")
                host.put("/etc/gossipd/templates/site.mustache", TEMPLATE)
                host.put("/etc/gossipd/check-nginx", CHECK, 0o755)
                # From what Debian's package has put there: of a large former file a small one would be refused.
                host.run("sh", "-c", f"cd /etc/nginx; [ -e debian ] || cp {MAIN} debian; cp debian {MAIN}; rm -f {EXTRA}")
                host.put("/etc/gossipd/render.d/site.toml", MAIN_DESCRIPTION)
                host.put("/etc/gossipd/render.d/extra.toml", EXTRA_DESCRIPTION)
                host.run("systemctl", "daemon-reload")
                host.run("systemctl", "enable", "-q", "nginx")
            ctl(self.hosts[0], "kv", "put", "web/extra", extra("first"))
            for host in self.hosts:
                host.put(CONFIGURATION, fleet.configuration(host, '[tags]\nrole = "web"\n'))
                host.run("gossipd", "check-config", CONFIGURATION)
                host.run("systemctl", "reload", "gossipd")
            self.settle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for host in self.hosts:
            if host.leader() is None:
                continue
            host.try_run("sh", "-c", "rm -f /etc/gossipd/render.d/*.toml")
            host.put(CONFIGURATION, fleet.configuration(host))
            host.try_run("systemctl", "reset-failed", "gossipd", "gossipd-apply", "gossipd-apply.socket")
            host.try_run("systemctl", "start", "gossipd", "gossipd-apply.socket")
            host.try_run("systemctl", "reload", "gossipd")
            host.try_run("systemctl", "disable", "-q", "--now", "nginx")
        keys = [line.split()[0] for line in self.hosts[0].try_run("gossipctl", "kv", "list", "web/").stdout.splitlines()]
        for key in keys:
            if key.startswith("web/"):
                self.hosts[0].try_run("gossipctl", "kv", "delete", key)

    def settle(self, hosts=None, names=None, timeout=30):
        """Waits until every host's files are in place and its load balancer knows `names`."""
        hosts = hosts or self.hosts
        names = names or {host.name for host in self.hosts}
        for host in hosts:
            wait(lambda host=host: upstreams(host) == names, f"{host.name} has the upstreams {sorted(names)}", timeout)
            for file in ("site", "extra"):
                wait(lambda host=host, file=file: status(host, file)["state"] == "ok", f"{host.name}: {file} is ok", timeout)
            # While it is reloaded it is "reloading".
            wait(lambda host=host: fleet.active(host, "nginx"), f"{host.name}: nginx runs", 10)


def status(host, name):
    """What `render status` says of one file."""
    for file in ask(host, "render", "status")["files"]:
        if file["name"] == name:
            return file
    raise Trouble(f"{host.name} has no file {name}")


def reaches(host, name, state, part="", timeout=30):
    """Waits for a state of a file, with `part` in its error; returns the error."""
    def is_there():
        file = status(host, name)
        return file["state"] == state and part in file.get("error", "") and (file.get("error") or " ")

    return wait(is_there, f"{host.name}: {name} is {state} with \"{part}\"", timeout)


def content(host, path=MAIN):
    return (host.root / path[1:]).read_bytes()


def upstreams(host):
    """The members in the file on disk."""
    lines = content(host).decode().splitlines()
    return {line.rpartition("# ")[2] for line in lines if line.strip().startswith("server ") and "# " in line}


def reloads(host):
    """How often nginx was reloaded."""
    file = host.root / RELOADS[1:]
    return file.read_bytes().count(b"\n") if file.exists() else 0


def leftovers(host):
    """Files of the helper beside its destinations, and its note of reloads that are due."""
    places = [host.root / "etc/nginx", host.root / "etc/nginx/conf.d"]
    found = [str(path) for place in places for path in place.glob(".*gossipd*")]
    note = host.root / "var/lib/gossipd-apply/pending.json"
    return found + ([str(note)] if note.exists() else [])


def machine_process(host, unit):
    """The id on this machine of a unit's main process, or None: to kill it at once."""
    inner = host.run("systemctl", "show", "--property=MainPID", "--value", unit).strip()
    space = os.readlink(f"/proc/{host.leader()}/ns/pid")
    for folder in pathlib.Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and os.readlink(folder / "ns/pid") == space:
                lines = (folder / "status").read_text("ascii", "replace").splitlines()
                if next(line for line in lines if line.startswith("NSpid:")).split()[-1] == inner:
                    return int(folder.name)
        except (OSError, StopIteration):
            continue
    return None
