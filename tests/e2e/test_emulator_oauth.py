"""The emulator's OAuth: loopback flow with PKCE, refresh, revocation, device flow, and every error of the notes."""

import base64
import hashlib
import html.parser
import pathlib
import secrets
import sys
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from emulator import SCOPE  # noqa: E402
from emulator_fixtures import *  # noqa: E402, F401, F403

REDIRECT = "http://127.0.0.1:8123/callback"
BOTH = f"{SCOPE}youtube.upload {SCOPE}youtube.readonly"


def challenge_of(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


VERIFIER = secrets.token_urlsafe(48)


def auth_params(emulator, client="client_secret.json", **changes):
    params = {
        "client_id": emulator.client(client)["client_id"], "redirect_uri": REDIRECT, "response_type": "code",
        "scope": BOTH, "state": "s t&te", "code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256",
        "access_type": "offline", "prompt": "select_account consent", **changes}
    return {name: value for name, value in params.items() if value is not None}


def auth(emulator, **changes):
    return emulator.request("GET", "/o/oauth2/v2/auth?" + urllib.parse.urlencode(auth_params(emulator, **changes)))


def redirected(reply):
    assert reply.status == 302, reply
    target, query = reply.headers["Location"].split("?", 1)
    assert target == REDIRECT
    return dict(urllib.parse.parse_qsl(query))


def code_for(emulator, channel, **changes):
    emulator.ctl("approve", {"channel": channel["id"]})
    return redirected(auth(emulator, **changes))["code"]


def post_form(emulator, path, fields):
    fields = {name: value for name, value in fields.items() if value is not None}
    return emulator.request("POST", path, body=urllib.parse.urlencode(fields),
                            headers={"Content-Type": "application/x-www-form-urlencoded"})


def exchange(emulator, code, client="client_secret.json", **changes):
    file = emulator.client(client)
    return post_form(emulator, "/token", {
        "grant_type": "authorization_code", "code": code, "client_id": file["client_id"],
        "client_secret": file["client_secret"], "redirect_uri": REDIRECT, "code_verifier": VERIFIER, **changes})


def refresh(emulator, token, client="client_secret.json", **changes):
    file = emulator.client(client)
    return post_form(emulator, "/token", {
        "grant_type": "refresh_token", "refresh_token": token, "client_id": file["client_id"],
        "client_secret": file["client_secret"], **changes})


def mine(emulator, token):
    reply = emulator.request("GET", "/youtube/v3/channels?part=id&mine=true", token=token)
    return reply.json()["items"][0]["id"] if reply.status == 200 else reply.status


# ---- client files


def test_client_files(emulator):
    for name, project in (("client_secret.json", "sluice-emulator-1"), ("client_secret_2.json", "sluice-emulator-2")):
        client = emulator.client(name)
        assert client["project_id"] == project
        assert client["auth_uri"] == emulator.url + "/o/oauth2/v2/auth"
        assert client["token_uri"] == emulator.url + "/token"
        assert set(client) == {"client_id", "project_id", "auth_uri", "token_uri", "auth_provider_x509_cert_url",
                               "client_secret", "redirect_uris"}


# ---- the consent page


class Form(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.fields, self.action = [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.action = attributes["action"]
        if tag == "input":
            self.fields.append((attributes["name"], attributes["value"]))

    def values(self, name):
        return [value for field, value in self.fields if field == name]


def test_consent_page_can_be_followed(emulator, channel, other_channel):
    page = auth(emulator)
    assert page.status == 200
    form = Form(page.body.decode())
    assert form.values("channel")[:2] == [channel["id"], other_channel["id"]]
    assert form.values("scope") == BOTH.split()
    fields = [("page", form.values("page")[0]), ("channel", other_channel["id"]), ("answer", "approve")]
    fields += [("scope", scope) for scope in form.values("scope")]
    reply = emulator.request("POST", form.action, body=urllib.parse.urlencode(fields))
    answer = redirected(reply)
    assert (answer["state"], answer["scope"]) == ("s t&te", BOTH)
    tokens = exchange(emulator, answer["code"]).json()
    assert mine(emulator, tokens["access_token"]) == other_channel["id"]
    again = emulator.request("POST", form.action, body=urllib.parse.urlencode(fields))
    assert again.status == 400, "a page is answered once"


def test_k07_user_unticks_a_scope(emulator, channel):
    form = Form(auth(emulator).body.decode())
    fields = {"page": form.values("page")[0], "channel": channel["id"], "scope": SCOPE + "youtube.readonly"}
    answer = redirected(post_form(emulator, form.action, fields))
    assert answer["scope"] == SCOPE + "youtube.readonly"
    tokens = exchange(emulator, answer["code"]).json()
    assert tokens["scope"] == SCOPE + "youtube.readonly"
    assert emulator.start_reply(tokens["access_token"]).reason() == "insufficientPermissions"


def test_user_unticks_all_scopes(emulator, channel):
    form = Form(auth(emulator).body.decode())
    fields = {"page": form.values("page")[0], "channel": channel["id"], "has_scopes": "1", "answer": "approve"}
    assert redirected(post_form(emulator, form.action, fields))["error"] == "access_denied"


def test_user_cancels(emulator, channel):
    form = Form(auth(emulator).body.decode())
    fields = {"page": form.values("page")[0], "channel": channel["id"], "answer": "deny"}
    assert redirected(post_form(emulator, form.action, fields)) == {"error": "access_denied", "state": "s t&te"}
    emulator.ctl("approve", {"error": "access_denied"})
    assert redirected(auth(emulator))["error"] == "access_denied"


def test_answers_in_advance_are_used_in_their_order(emulator, channel, other_channel):
    emulator.ctl("approve", {"channel": channel["title"], "times": 2})
    emulator.ctl("approve", {"channel": other_channel["id"], "scope": SCOPE + "youtube.readonly"})
    answers = [redirected(auth(emulator)) for _ in range(3)]
    tokens = [exchange(emulator, answer["code"]).json()["access_token"] for answer in answers]
    assert [mine(emulator, token) for token in tokens] == [channel["id"]] * 2 + [other_channel["id"]]
    assert answers[2]["scope"] == SCOPE + "youtube.readonly"
    assert auth(emulator).status == 200, "the next one is a page again"


@pytest.mark.parametrize("change,error", [
    ({"client_id": "nobody"}, "invalid_client"),
    ({"redirect_uri": "https://evil.example/"}, "redirect_uri_mismatch"),
    ({"redirect_uri": "http://127.0.0.1.evil.example/"}, "redirect_uri_mismatch"),
    ({"redirect_uri": "http://127.0.0.1:80@evil.example/"}, "redirect_uri_mismatch"),
    ({"redirect_uri": None}, "redirect_uri_mismatch"),
    ({"redirect_uri": "urn:ietf:wg:oauth:2.0:oob"}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"scope": SCOPE + "drive"}, "invalid_scope"),
    ({"scope": None}, "invalid_scope"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"code_challenge_method": "S512"}, "invalid_request"),
    ({"client": "client_secret_tv.json"}, "invalid_request"),
    ({"client": "client_secret_web.json"}, "redirect_uri_mismatch"),
])
def test_bad_authorization_requests_are_shown_and_never_redirected(emulator, change, error):
    reply = auth(emulator, **change)
    assert reply.status == 400 and error in reply.body.decode()


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1/", "http://[::1]:65535/x", "http://localhost:8080",
                                 "http://127.0.0.1"])
def test_any_loopback_redirect(emulator, uri):
    assert auth(emulator, redirect_uri=uri).status == 200


def test_web_client_needs_the_registered_redirect(emulator):
    uri = emulator.client("client_secret_web.json")["redirect_uris"][0]
    assert auth(emulator, client="client_secret_web.json", redirect_uri=uri).status == 200


# ---- exchange of a code


def test_exchange(emulator, channel):
    reply = exchange(emulator, code_for(emulator, channel))
    tokens = reply.json()
    assert reply.status == 200
    assert set(tokens) == {"access_token", "expires_in", "refresh_token", "scope", "token_type"}
    assert (tokens["expires_in"], tokens["token_type"]) == (3599, "Bearer")
    assert tokens["access_token"].startswith("ya29.") and tokens["refresh_token"].startswith("1//0")
    assert mine(emulator, tokens["access_token"]) == channel["id"]


@pytest.mark.parametrize("change,status,error", [
    ({"code_verifier": None}, 400, "invalid_grant"),
    ({"code_verifier": "x" * 43}, 400, "invalid_grant"),
    ({"code_verifier": VERIFIER[:42]}, 400, "invalid_grant"),
    ({"redirect_uri": REDIRECT + "x"}, 400, "redirect_uri_mismatch"),
    ({"code": "4/0wrong"}, 400, "invalid_grant"),
    ({"code": None}, 400, "invalid_request"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ({"grant_type": None}, 400, "invalid_request"),
    ({"client_secret": "wrong"}, 401, "invalid_client"),
    ({"client_id": "nobody"}, 401, "invalid_client"),
    ({"client_id": None}, 400, "invalid_request"),
    ({"client": "client_secret_2.json"}, 400, "invalid_grant"),
])
def test_bad_exchange(emulator, channel, change, status, error):
    code = code_for(emulator, channel)
    reply = exchange(emulator, change.pop("code", code), **change) if "code" in change else exchange(
        emulator, code, **change)
    assert (reply.status, reply.json()["error"]) == (status, error)


def test_plain_challenge_and_no_challenge(emulator, channel):
    code = code_for(emulator, channel, code_challenge=VERIFIER, code_challenge_method="plain")
    assert exchange(emulator, code).status == 200
    code = code_for(emulator, channel, code_challenge=None, code_challenge_method=None)
    assert exchange(emulator, code, code_verifier=None).status == 200


def test_code_is_good_for_one_try(emulator, channel):
    code = code_for(emulator, channel)
    assert exchange(emulator, code, code_verifier="wrong" * 10).status == 400
    assert exchange(emulator, code).json()["error"] == "invalid_grant"


def test_code_expires(emulator, channel):
    code = code_for(emulator, channel)
    emulator.advance(11 * 60 * 1000)
    assert exchange(emulator, code).json()["error"] == "invalid_grant"


def test_refresh_token_only_offline_and_at_first_or_when_forced(emulator, channel):
    assert "refresh_token" not in exchange(emulator, code_for(emulator, channel, access_type=None)).json()
    assert "refresh_token" not in exchange(emulator, code_for(emulator, channel, prompt=None)).json()
    assert "refresh_token" in exchange(emulator, code_for(emulator, channel)).json()


# ---- refresh


def test_refresh(emulator, channel):
    tokens = emulator.tokens(channel["id"], scope=BOTH)
    reply = refresh(emulator, tokens["refresh_token"])
    assert reply.status == 200
    assert set(reply.json()) == {"access_token", "expires_in", "scope", "token_type"}, "no refresh token normally"
    assert mine(emulator, reply.json()["access_token"]) == channel["id"]
    assert refresh(emulator, tokens["refresh_token"]).status == 200, "the old one stays"
    entry = emulator.journal(op="token")[0]
    assert (entry["channel"], entry["query"]) == (channel["id"], None)


def test_access_token_ends_on_the_emulators_clock(emulator, channel):
    token = emulator.access_token(channel["id"])
    emulator.advance(3598 * 1000)
    assert mine(emulator, token) == channel["id"]
    emulator.advance(2000)
    assert mine(emulator, token) == 401


def test_refresh_with_another_client_is_refused_and_recorded(emulator, channel):
    tokens = emulator.tokens(channel["id"])
    reply = refresh(emulator, tokens["refresh_token"], client="client_secret_2.json")
    assert (reply.status, reply.json()["error"]) == (401, "unauthorized_client")
    assert emulator.ctl("violations")[0]["kind"] == "token-of-other-client"


def test_k03_revoked(emulator, channel):
    tokens = emulator.tokens(channel["id"])
    assert post_form(emulator, "/revoke", {"token": tokens["refresh_token"]}).status == 200
    reply = refresh(emulator, tokens["refresh_token"])
    assert (reply.status, reply.json()) == (400, {
        "error": "invalid_grant", "error_description": "Token has been expired or revoked."})
    assert mine(emulator, tokens["access_token"]) == 401
    assert post_form(emulator, "/revoke", {"token": tokens["refresh_token"]}).status == 400


def test_revoking_takes_all_scopes_of_the_project_and_no_other(emulator, channel):
    one, two = emulator.tokens(channel["id"]), emulator.tokens(channel["id"], scope=SCOPE + "youtube.readonly")
    elsewhere = emulator.tokens(channel["id"], client="client_secret_2.json")
    post_form(emulator, "/revoke", {"token": one["access_token"]})
    assert refresh(emulator, two["refresh_token"]).status == 400
    assert refresh(emulator, elsewhere["refresh_token"], client="client_secret_2.json").status == 200


def test_the_hundred_and_first_refresh_token_kills_the_oldest(emulator, channel):
    tokens = [emulator.tokens(channel["id"])["refresh_token"] for _ in range(101)]
    assert refresh(emulator, tokens[0]).json()["error"] == "invalid_grant"
    assert refresh(emulator, tokens[1]).status == 200


def test_seven_days_in_status_testing(emulator, channel):
    tokens = emulator.tokens(channel["id"])
    emulator.advance(8 * 24 * 3600 * 1000)
    assert refresh(emulator, tokens["refresh_token"]).status == 200
    emulator.ctl("quota", {"project": 1, "testing": True})
    assert refresh(emulator, tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_six_months_unused(emulator, channel):
    tokens = emulator.tokens(channel["id"])
    emulator.advance(181 * 24 * 3600 * 1000)
    assert refresh(emulator, tokens["refresh_token"]).json()["error"] == "invalid_grant"


# ---- device flow


def device_code(emulator, scope=SCOPE + "youtube", client="client_secret_tv.json"):
    return post_form(emulator, "/device/code", {"client_id": emulator.client(client)["client_id"], "scope": scope})


def poll(emulator, code, client="client_secret_tv.json"):
    file = emulator.client(client)
    return post_form(emulator, "/token", {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": code,
        "client_id": file["client_id"], "client_secret": file["client_secret"]})


def test_device_flow(emulator, channel):
    started = device_code(emulator).json()
    assert (started["expires_in"], started["interval"]) == (1800, 5)
    assert started["verification_url"] == emulator.url + "/device"
    pending = poll(emulator, started["device_code"])
    assert (pending.status, pending.json()) == (
        428, {"error": "authorization_pending", "error_description": "Precondition Required"})
    slow = poll(emulator, started["device_code"])
    assert (slow.status, slow.json()) == (403, {"error": "slow_down", "error_description": "Forbidden"})
    emulator.ctl("device", {"user_code": started["user_code"], "channel": channel["id"]})
    emulator.advance(5000)
    tokens = poll(emulator, started["device_code"]).json()
    assert mine(emulator, tokens["access_token"]) == channel["id"]
    assert refresh(emulator, tokens["refresh_token"], client="client_secret_tv.json").status == 200
    emulator.advance(5000)
    assert poll(emulator, started["device_code"]).json()["error"] == "invalid_grant", "once only"


def test_device_page(emulator, channel):
    started = device_code(emulator).json()
    page = emulator.request("GET", "/device")
    assert page.status == 200 and channel["id"] in page.body.decode()
    fields = {"user_code": started["user_code"], "channel": channel["id"], "answer": "approve"}
    assert post_form(emulator, "/device", fields).status == 200
    assert poll(emulator, started["device_code"]).status == 200
    assert post_form(emulator, "/device", {**fields, "user_code": "none"}).status == 400


def test_device_refused_expired_and_unknown(emulator):
    started = device_code(emulator).json()
    emulator.ctl("device", {"user_code": started["user_code"], "deny": True})
    refused = poll(emulator, started["device_code"])
    assert (refused.status, refused.json()["error"]) == (403, "access_denied")
    emulator.advance(1801 * 1000)
    assert poll(emulator, started["device_code"]).json()["error"] == "invalid_grant"
    assert poll(emulator, "AH-wrong").json()["error"] == "invalid_grant"


@pytest.mark.parametrize("scope", ["youtube.upload", "youtube.force-ssl"])
def test_scopes_that_the_device_flow_refuses(emulator, scope):
    reply = device_code(emulator, scope=SCOPE + scope)
    assert (reply.status, reply.json()["error"]) == (400, "invalid_scope")


def test_device_flow_needs_a_tv_client(emulator):
    reply = device_code(emulator, client="client_secret.json")
    assert (reply.status, reply.json()["error"]) == (401, "invalid_client")
    started = device_code(emulator).json()
    assert poll(emulator, started["device_code"], client="client_secret.json").json()["error"] == "invalid_grant"
