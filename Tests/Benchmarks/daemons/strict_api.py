# SPDX-License-Identifier: Apache-2.0
"""Owns calls on strict keys over HTTP, of gossipd and of etcd, and what is known of each after its answer, or without one.

Each method returns the fields of a line of `gossipsim judge`: the outcome and what was seen. A call whose request may have
left this process and that has no clear answer is `unknown`; reads have no effect and are `fail` instead."""

import base64
import http.client
import json
import socket
import urllib.parse

FAIL, UNKNOWN = {"outcome": "fail"}, {"outcome": "unknown"}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("gossipd", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class NotSent(OSError):
    """There was no connection: nothing was asked."""


class Connection:
    """One kept connection; after a failure the next call makes a new one."""

    def __init__(self, make):
        self.make = make
        self.http = None

    def ask(self, method, target, body=b"", headers=None):
        """The status and the body; `NotSent`, or an OSError or HTTPException when there is no answer."""
        if self.http is None:
            try:
                self.http = self.make()
                self.http.connect()
            except OSError as failure:
                self.http = None
                raise NotSent(str(failure)) from failure
            # A request that is in two packets would wait for the answer to the first.
            if self.http.sock.family != socket.AF_UNIX:
                self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.http.request(method, target, body, headers or {})
            answer = self.http.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def close(self):
        if self.http:
            self.http.close()
        self.http = None


class Keys:
    """What both have in common. A subclass gives the questions."""

    def __init__(self, make):
        self.connection = Connection(make)
        # What the last call was told when it was refused: for reports and tests.
        self.refusal = None

    def close(self):
        self.connection.close()

    def attempt(self, call, without_answer):
        """`call` returns the fields, or raises what `ask` raises."""
        self.refusal = None
        try:
            return call()
        except NotSent as failure:
            self.refusal = str(failure)
            return dict(FAIL)
        except (OSError, http.client.HTTPException, ValueError, KeyError) as failure:
            self.refusal = repr(failure)
            self.connection.close()
            return dict(without_answer)


class GossipdKeys(Keys):
    def __init__(self, path, timeout, consistency=None):
        # The daemon answers in time by itself; this end waits a little longer.
        super().__init__(lambda: UnixConnection(path, timeout + 2))
        self.headers = {"gossipd-timeout": f"{timeout}s"}
        self.consistency = consistency

    def refuse(self, status, body, without_answer):
        """An answer that is none: which errors say that nothing was done."""
        self.refusal = f"{status} {body[:4_000].decode(errors='replace')}"
        error = json.loads(body).get("error", {}) if body else {}
        # Bad requests, denied, precondition, too large: before anything was done. The rest says so itself if it knows.
        if status in (400, 403, 404, 405, 409, 412, 413, 429) or error.get("outcome") == "not_done":
            return dict(FAIL)
        return dict(without_answer)

    @staticmethod
    def target(key, **query):
        query = {name: value for name, value in query.items() if value is not None}
        return f"/v1/kv/{urllib.parse.quote(key)}" + ("?" + urllib.parse.urlencode(query) if query else "")

    def get(self, key, consistency=None):
        def call():
            target = self.target(key, consistency=consistency or self.consistency)
            status, body = self.connection.ask("GET", target, headers=self.headers)
            if status == 200:
                found = json.loads(body)
                return {"outcome": "ok", "value": found["value"], "version": int(found["version"])}
            if status == 404:
                return {"outcome": "ok", "value": None}
            return self.refuse(status, body, FAIL)
        return self.attempt(call, FAIL)

    def put(self, key, value):
        def call():
            status, body = self.connection.ask("PUT", self.target(key), value.encode(), self.headers)
            if status == 200:
                return {"outcome": "ok", "version": int(json.loads(body)["version"])}
            return self.refuse(status, body, UNKNOWN)
        return self.attempt(call, UNKNOWN)

    def compare_and_set(self, key, version, value):
        """`version` 0: the key is not there."""
        def call():
            condition = {"if_version": str(version)} if version else {"if_absent": "true"}
            status, body = self.connection.ask("PUT", self.target(key, **condition), value.encode(), self.headers)
            if status == 200:
                return {"outcome": "ok", "succeeded": True, "version": int(json.loads(body)["version"])}
            if status == 412:
                return {"outcome": "ok", "succeeded": False}
            return self.refuse(status, body, UNKNOWN)
        return self.attempt(call, UNKNOWN)

    def delete(self, key):
        def call():
            status, body = self.connection.ask("DELETE", self.target(key), headers=self.headers)
            if status in (200, 404):
                return {"outcome": "ok", "existed": status == 200}
            return self.refuse(status, body, UNKNOWN)
        return self.attempt(call, UNKNOWN)

    def transaction(self, compare, then, otherwise):
        """In the form of the file: compare by version or a lock's token, steps get, put and delete."""
        def step(one):
            written = {"value": one["value"]} if "value" in one else {}
            return {one["operation"]: one["key"], **written}

        def result(one, given):
            if one["operation"] == "get":
                if not given["found"]:
                    return {"value": None}
                return {"value": given["value"], "version": int(given["version"])}
            return {"version": int(given["version"])} if one["operation"] == "put" else {"existed": given["found"]}

        def call():
            request = {
                "compare": [one if "lock" in one else {"key": one["key"], "version": str(one["version"])} for one in compare],
                "then": [step(one) for one in then], "else": [step(one) for one in otherwise]}
            status, body = self.connection.ask(
                "POST", "/v1/txn", json.dumps(request).encode(),
                {"Content-Type": "application/json", **self.headers})
            if status != 200:
                return self.refuse(status, body, UNKNOWN)
            given = json.loads(body)
            steps = then if given["succeeded"] else otherwise
            return {"outcome": "ok", "succeeded": given["succeeded"],
                    "results": [result(one, found) for one, found in zip(steps, given["results"])]}
        return self.attempt(call, UNKNOWN)


class GossipdLocks(GossipdKeys):
    """Leases, and locks in their name."""

    def order(self, method, target, request, read, gone):
        """`read` makes the fields of the document; `gone`: those of an answer that the lease has ended."""
        def call():
            body = json.dumps(request).encode() if request is not None else b""
            headers = {"Content-Type": "application/json", **self.headers} if body else self.headers
            status, body = self.connection.ask(method, target, body, headers)
            if status == 200:
                return {"outcome": "ok", **read(json.loads(body))}
            if status == 404:
                return dict(gone)
            return self.refuse(status, body, UNKNOWN)
        return self.attempt(call, UNKNOWN)

    def grant(self, ttl):
        return self.order("POST", "/v1/leases", {"ttl": f"{int(ttl * 1000)}ms"},
                          lambda given: {"lease": int(given["lease"])}, FAIL)

    def renew(self, lease):
        return self.order("POST", f"/v1/leases/{lease}/renew", None, lambda given: {"lives": True},
                          {"outcome": "ok", "lives": False})

    @staticmethod
    def standing(given):
        state = given["state"]
        if state == "held":
            return {"token": given["token"]}
        return {"busy": True} if state == "busy" else {"state": state}

    def acquire(self, lock, lease, wait):
        return self.order("POST", f"/v1/locks/{lock}", {"lease": str(lease), "wait": wait}, self.standing,
                          {"outcome": "fail", "lives": False})

    def look(self, lock, lease):
        return self.order("GET", f"/v1/locks/{lock}?lease={lease}", None, self.standing, FAIL)

    def release(self, lock, lease):
        return self.order("DELETE", f"/v1/locks/{lock}?lease={lease}", None,
                          lambda given: {"existed": given["released"]}, {"outcome": "ok", "existed": False})


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def decoded(text):
    return base64.b64decode(text).decode()


class EtcdKeys(Keys):
    """Over its JSON gateway. Versions are its revisions of modification, which ascend over all keys."""

    def __init__(self, address, timeout, consistency=None):
        host, _, port = address.rpartition(":")
        super().__init__(lambda: http.client.HTTPConnection(host, int(port), timeout=timeout))
        # Whether a read may be answered by the asked member alone: with that its histories are not linearizable.
        self.is_serializable = consistency == "local"

    def ask(self, path, request):
        status, body = self.connection.ask("POST", f"/v3/kv/{path}", json.dumps(request).encode())
        if status == 200:
            return json.loads(body)
        self.refusal = f"{status} {body[:300].decode(errors='replace')}"
        raise ValueError(self.refusal)

    @staticmethod
    def found(answer):
        kvs = answer.get("kvs")
        if not kvs:
            return {"value": None}
        return {"value": decoded(kvs[0].get("value", "")), "version": int(kvs[0]["mod_revision"])}

    def get(self, key, consistency=None):
        request = {"key": encoded(key), "serializable": self.is_serializable or consistency == "local"}
        return self.attempt(lambda: {"outcome": "ok", **self.found(self.ask("range", request))}, FAIL)

    def put(self, key, value):
        request = {"key": encoded(key), "value": encoded(value)}
        return self.attempt(
            lambda: {"outcome": "ok", "version": int(self.ask("put", request)["header"]["revision"])}, UNKNOWN)

    def compare_and_set(self, key, version, value):
        put = [{"operation": "put", "key": key, "value": value}]
        answer = self.transaction([{"key": key, "version": version}], put, [])
        if answer.get("results"):
            answer["version"] = answer["results"][0]["version"]
        answer.pop("results", None)
        return answer

    def delete(self, key):
        def call():
            return {"outcome": "ok", "existed": int(self.ask("deleterange", {"key": encoded(key)}).get("deleted", 0)) > 0}
        return self.attempt(call, UNKNOWN)

    def transaction(self, compare, then, otherwise):
        def step(one):
            if one["operation"] == "put":
                return {"requestPut": {"key": encoded(one["key"]), "value": encoded(one["value"])}}
            name = {"get": "requestRange", "delete": "requestDeleteRange"}[one["operation"]]
            return {name: {"key": encoded(one["key"])}}

        def result(one, given, revision):
            if one["operation"] == "get":
                return self.found(given.get("response_range", {}))
            if one["operation"] == "put":
                return {"version": revision}
            return {"existed": int(given.get("response_delete_range", {}).get("deleted", 0)) > 0}

        def call():
            answer = self.ask("txn", {
                "compare": [{"key": encoded(one["key"]), "target": "MOD", "result": "EQUAL",
                             "modRevision": str(one["version"])} for one in compare],
                "success": [step(one) for one in then], "failure": [step(one) for one in otherwise]})
            succeeded = answer.get("succeeded", False)
            revision = int(answer["header"]["revision"])
            steps, given = then if succeeded else otherwise, answer.get("responses", [])
            return {"outcome": "ok", "succeeded": succeeded,
                    "results": [result(one, found, revision) for one, found in zip(steps, given)]}
        return self.attempt(call, UNKNOWN)


KINDS = {"gossipd": GossipdKeys, "etcd": EtcdKeys}
