"""The weekly check of links: what it reads, and how it takes a server's answers. The servers are on this machine."""
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from helpers.make import external_links


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize("status, said", [(200, "there"), (404, "broken: status 404"), (410, "broken: status 410"),
                                          (403, "unsure: status 403"), (503, "unsure: status 503")])
def test_what_an_answer_means(status, said, server):
    assert external_links.answer(f"{server}/{status}") == said


def test_a_server_that_is_not_there_is_a_broken_link(server):
    assert external_links.answer("http://127.0.0.1:9/").startswith("broken: ")
    assert external_links.answer("http://[nonsense/").startswith("broken: ")


@pytest.fixture
def course(tmp_path, server):
    """A course of three pages."""
    cells = [{"cell_type": "markdown", "source": [f"See [this]({server}/200#a),\n", f"and <{server}/404>."]},
             {"cell_type": "code", "source": ["# [no](https://not.there/)"]}]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/01_a.ipynb").write_text(json.dumps({"cells": cells}))
    unseen = "<!-- [hidden](https://hidden.test/) -->\n```\n[code](https://code.test/)\n```\n"
    (tmp_path / "README.md").write_text(f"{unseen}[here]({server}/200) [file](LICENSE)\n")
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers/LICENCES.md").write_text(f'<a href="{server}/403">x</a>')
    return tmp_path


def test_links_of_pages_and_of_prose_are_read_and_what_nobody_can_click_is_not(course, server):
    assert external_links.addresses(course) == {
        f"{server}/200": ["README.md", "notebooks/01_a.ipynb"], f"{server}/403": ["helpers/LICENCES.md"],
        f"{server}/404": ["notebooks/01_a.ipynb"]}


def test_the_command_names_what_is_broken_and_fails(course, server, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["external_links"])
    with pytest.raises(SystemExit) as end:
        external_links.main(course)
    assert end.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        f"broken: status 404  {server}/404  (notebooks/01_a.ipynb)", f"unsure: status 403  {server}/403  "
        "(helpers/LICENCES.md)", "3 links, 1 broken"]


def test_the_course_links_to_many_pages():
    found = external_links.addresses()
    assert len(found) > 50 and all(address.startswith("http") and ")" not in address for address in found)
