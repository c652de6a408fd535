"""strato chat: a message per line from a pipe; under a pseudo-terminal keys, history, Ctrl-C, resizing, pasted text."""
import functools
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BINARY, DEMO, check, environment, expect_error, good, main, path, skip, strato, test, write
from scripted import SAY_IT, scripted
from terminal import Terminal

GREEDY = ["--temp", "0", "--ctx", "512", "--no-self-test"]


def chat(lines, *args, code=0):
    result = strato("chat", DEMO, *GREEDY, *args, input="".join(line + "\n" for line in lines).encode())
    check(result.code == code, "exit code %d, expected %d" % (result.code, code), result)
    check(b"\x1b" not in result.out + result.err, "an escape sequence in a pipe", result)
    return result


@functools.cache
def answer(prompt):
    return good("run", DEMO, "-q", "-p", prompt, *GREEDY).out


def messages(file):
    return json.load(open(file, encoding="utf-8"))["messages"]


def state(name):
    return environment(XDG_STATE_HOME=path(name))


def terminal(*args, env=None, **size):
    t = Terminal([BINARY, "chat", DEMO, *GREEDY, *args], env or state("state"), **size)
    t.wait_for("/help lists commands")
    t.prompt()
    return t


def editing(t):
    """Skips a test of what libedit gives where the program was built without it."""
    if b"\x1b[?2004h" not in t.out:
        t.send(b"\x04")
        t.finish()
        skip("built without libedit")


def leave(t):
    """Ctrl-D at the prompt, which the caller has waited for."""
    t.send(b"\x04")
    code = t.finish()
    check(code == 0, "exit code %d; %r" % (code, t.out[-800:]))


# ---- pipes ----

@test
def each_line_of_a_pipe_is_a_message():
    first = answer("What is 3 + 4?")
    result = chat(["What is 3 + 4?", "", "   "])
    check(result.out == first, "not what run says: %r" % first, result)
    two = chat(["What is 3 + 4?", "What is the opposite of hot?"])
    check(two.out.startswith(first) and two.out.count(b"\n") == 2, "not two answers", two)
    check(chat([]).out == b"", "an answer to nothing")


@test
def commands_change_the_conversation():
    file = path("commands.json")
    chat(["/system You are Pebble.", "What is 3 + 4?", "What is 5 + 1?", "/undo", "/regenerate", "/save " + file])
    roles = [m["role"] for m in messages(file)]
    check(roles == ["system", "user", "assistant"], "messages %s" % roles)
    check(messages(file)[0]["content"] == "You are Pebble.", "not the system's message")
    check(messages(file)[1]["content"] == "What is 3 + 4?", "not the first turn")
    chat(["/load " + file, "/system none", "/save " + file])
    check([m["role"] for m in messages(file)] == ["user", "assistant"], "the system's message is still there")
    chat(["//not a command", "/save " + file])
    check(messages(file)[0]["content"] == "/not a command", "two slashes are one at the beginning of a message")


@test
def settings_are_checked_as_options_are():
    result = chat(["/set n 3", "Tell me about a fox.", "/stats"])
    check(b"ended after 3 tokens" in result.err and b"3 generated" in result.out, "-n was not set", result)
    wrong = (("/set temp hot", b"'hot' is no number"), ("/set top-p 2", b"--top-p"),
             ("/set nonsense 1", b"no such setting"), ("/set fold maybe", b"on or off"),
             ("/set temp", b"needs a value"), ("/set system x", b"a command of its own"),
             ("/nonsense", b"no such command"), ("/undo", b"nothing to undo"), ("/regenerate", b"no answer"),
             ("/save", b"/save needs"), ("/load", b"/load needs"), ("/result 7", b"no call of a tool waits"),
             ("/tools nowhere.json", b"nowhere.json"))
    bad = chat([line for line, _ in wrong] + ["What is 3 + 4?"], code=2)
    errors = [line for line in bad.err.split(b"\n") if line.startswith(b"strato: error: ")]
    check(len(errors) == len(wrong), "%d errors" % len(errors), bad)
    for error, (line, words) in zip(errors, wrong):
        check(words in error, "%s: another error: %r" % (line, error))
    check(bad.out == answer("What is 3 + 4?"), "it does not go on", bad)
    listed = chat(["/set temp 0.25", "/set"])
    check(re.search(rb"temp +0.25\n", listed.out) is not None, "/set does not list", listed)


@test
def a_message_that_does_not_fit_is_taken_back():
    result = chat(["word " * 600, "What is 3 + 4?"], code=2)
    check(b"the context has room for 511" in result.err, "no error", result)
    check(result.out == answer("What is 3 + 4?"), "it does not go on", result)


@test
def a_full_context_is_said():
    file = path("full.json")
    lines = ["/system You are Pebble."] + ["What is the opposite of hot?"] * 20 + ["/save " + file, "/stats"]
    result = chat(lines, "-n", "6", "-q")
    check(b"the context is nearly full" in result.err, "it is not said", result)
    check(len(messages(file)) == 41, "messages were lost")
    check(re.search(rb"messages +41, [1-9]", result.out) is not None, "/stats does not say it", result)
    again = re.search(rb"last turn +(\d+) of (\d+) prompt tokens", result.out)
    check(int(again.group(1)) < 40 < int(again.group(2)), "more than the new turn was evaluated", result)


# ---- tools ----

TOOLS = [{"type": "function", "function": {"name": name, "description": about, "parameters": {"type": "object"}}}
         for name, about in (("weather", "The weather\x1b[31m in a city"), ("clock", "The time"))]
CALLS = ('<tool_call>{"name": "weather", "arguments": {"city": "Bern"}}</tool_call>'
         '<tool_call>{"name": "clock", "arguments": {}}</tool_call>')
SHOWN = b'[call weather {"city": "Bern"}]\n[call clock {}]\n'


def calling(lines, *args, code=0):
    """A model that calls two tools, whatever it is told."""
    model = scripted(path("calling.gguf"), CALLS)
    result = strato("chat", model, *GREEDY, *SAY_IT, *args, input="".join(line + "\n" for line in lines).encode())
    check(result.code == code, "exit code %d, expected %d" % (result.code, code), result)
    return result


@test
def calls_are_shown_and_results_are_given():
    tools, file = write("tools.json", json.dumps(TOOLS).encode()), path("called.json")
    result = calling(["Is it warm?", "/result 21 degrees", "/result noon", "/save " + file], "--tools", tools)
    check(result.out == SHOWN * 2, "not the two calls, twice", result)
    notes = [line for line in result.err.decode().split("\n") if "/result TEXT" in line]
    check(notes == ["(/result TEXT says what %s gave)" % name for name in ("weather", "clock", "weather")], str(notes))
    said = messages(file)
    check([m["role"] for m in said] == ["user", "assistant", "tool", "tool", "assistant"], "the messages: %s" % said)
    ids = [call["id"] for call in said[1]["tool_calls"]]
    check(len(set(ids)) == 2 and all(re.fullmatch("[a-z0-9]{9}", i) for i in ids), "the ids are %s" % ids)
    check(said[2:4] == [{"role": "tool", "name": n, "tool_call_id": i, "content": text} for n, i, text in
                        (("weather", ids[0], "21 degrees"), ("clock", ids[1], "noon"))], "the results: %s" % said[2:4])
    check(json.load(open(file, encoding="utf-8"))["tools"] == TOOLS, "the tools are not in the file")
    on = calling(["/load " + file, "/regenerate", "/result x", "/undo", "/save " + file, "/tools", "/result y"], code=2)
    check(on.out.startswith(SHOWN) and b"  weather  The weather" in on.out and b"  clock  The time\n" in on.out,
          "it does not go on, or the tools are not listed", on)
    check(messages(file) == [], "/undo takes back the turn with its results")


@test
def tools_come_and_go():
    tools, file = write("tools.json", json.dumps(TOOLS).encode()), path("without.json")
    result = calling(["Hello.", "/tools " + tools, "/regenerate", "/tools none", "/tools", "/regenerate", "/save " + file])
    check(result.out == CALLS.encode() + b"\n" + SHOWN + CALLS.encode() + b"\n", "calls without tools are text", result)
    check(b"no tools are offered" in result.err and "tools" not in json.load(open(file)), "there are tools", result)
    check([m["role"] for m in messages(file)] == ["user", "assistant"], "/regenerate takes the place of an answer")


# ---- files ----

@test
def a_saved_conversation_goes_on_in_a_new_process():
    one, two = path("one.json"), path("two.json")
    whole = chat(["What is 3 + 4?", "/save " + one, "What is the opposite of hot?"])
    rest = chat(["/load " + one, "What is the opposite of hot?", "/save " + two])
    check(whole.out.endswith(rest.out) and len(rest.out) > 3, "it goes on differently", rest)
    check(messages(two)[:2] == messages(one) and len(messages(two)) == 4, "not the same messages")


@test
def a_bad_file_changes_nothing():
    kept = path("kept.json")
    bad = (("empty.json", b"", b"line 1"), ("half.json", b'{"messages": [{"role"', b"line 1"),
           ("other.json", b'{"a": 1}', b'"messages"'), ("list.json", b'[1]', b"message 0"),
           ("role.json", b'[{"content": "x"}]', b'"role"'))
    files = [write(name, data) for name, data, _ in bad] + [path("none.json")]
    result = chat(["What is 3 + 4?"] + ["/load " + f for f in files] + ["/save " + kept], code=2)
    errors = [line for line in result.err.split(b"\n") if line.startswith(b"strato: error: ")]
    check(len(errors) == len(files), "%d errors" % len(errors), result)
    for error, file, words in zip(errors, files, [b[2] for b in bad] + [b"none.json"]):
        check(words in error and file.encode() in error, "%s: another error: %r" % (file, error))
    check(len(messages(kept)) == 2, "the conversation has changed")
    result = chat(["/save " + path("no", "such", "folder", "x.json")], code=1)
    check(b"such" in result.err, "the error does not name the file", result)


# ---- a terminal ----

@test
def lines_are_edited_and_the_history_survives():
    t = terminal()
    editing(t)
    t.send("What is 3 + 4?\r")
    t.wait_for("3 \\+ 4 = 7")
    t.prompt()
    t.send("nonsense\x01\x0b")  # Ctrl-A, Ctrl-K: the line is gone
    t.send("What is the opposite of cold?\x1b[D\x1b[D\x08\x08\x08hot\x1b[C\r")
    t.wait_for("\n")
    t.prompt()
    t.send("/save %s\r" % path("edited.json"))
    t.wait_for("saved 4 messages")
    t.prompt()
    check(messages(path("edited.json"))[2]["content"] == "What is the opposite of hotd?", "not the line that was edited")
    leave(t)
    again = terminal()
    again.send("\x1b[A\x1b[A\x1b[A\r")  # the first line of the last session
    again.wait_for("3 \\+ 4 = 7")
    again.prompt()
    leave(again)


@test
def ctrl_c_stops_an_answer_and_keeps_the_conversation():
    ends = [str(json.loads(good("tokenize", DEMO, "--special", "-p", t).out)[0]) for t in ("<|im_end|>", "<|endoftext|>")]
    t = terminal(*[a for e in ends for a in ("--logit-bias", e + "=-inf")], "--top-k", "5", "--temp", "0.5")
    t.send("Tell me about a fox.\r")
    t.wait_for("fox\\.\r\n[^>]*[a-z]{3}", "the beginning of an answer")
    t.send(b"\x03")
    t.wait_for("\\(stopped\\)")
    t.prompt()
    t.send("/stats\r")
    t.wait_for("messages +2,")
    t.prompt()
    t.send("half a line\x03")  # at the prompt it only gives up the line
    t.prompt()
    t.send("/save %s\r" % path("stopped.json"))
    t.wait_for("saved 2 messages")
    t.prompt()
    said = messages(path("stopped.json"))
    check(said[1]["role"] == "assistant" and len(said[1]["content"]) > 3, "what was said is lost: %r" % said)
    leave(t)


@test
def two_hundred_pasted_lines_are_one_message():
    t = terminal("-n", "9")
    editing(t)
    pasted = "".join("b\n" for _ in range(199)) + "b"
    t.send(b"before \x1b[200~" + pasted.replace("\n", "\r").encode() + b"\x1b[201~")
    t.wait_for("\\[pasted: 200 lines\\]")
    t.send(" after\r")
    t.prompt()
    t.send("/save %s\r" % path("pasted.json"))
    t.wait_for("saved 2 messages")
    t.prompt()
    check(messages(path("pasted.json"))[0]["content"] == "before " + pasted + " after", "not the text that was pasted")
    t.send(b"\x1b[200~What is 3 + 4?\x1b[201~\r")
    t.wait_for("3 \\+ 4 = 7")
    t.prompt()
    leave(t)


@test
def lines_can_go_on():
    t = terminal("-n", "9")
    t.send("What is 3\\\r")
    t.wait_for("\\. ")
    t.send("+ 4?\r")
    t.prompt()
    t.send("/save %s\r" % path("on.json"))
    t.wait_for("saved 2 messages")
    t.prompt()
    check(messages(path("on.json"))[0]["content"] == "What is 3\n+ 4?", "not two lines")
    leave(t)


@test
def a_resized_terminal_is_followed():
    line = "What is the opposite of hot, I would like to know?"  # 52 columns with the prompt
    t = terminal(columns=100)
    editing(t)
    t.send(line)
    t.wait_for("know\\?")
    for columns, rows in ((40, 1), (20, 2), (60, 0)):  # where the cursor is once the terminal has wrapped the line anew
        before = len(t.out)
        t.resize(columns, 20)
        t.wait_for("What is [^>]*know\\?", "the line, drawn again for %d columns" % columns)
        up = b"\x1b[%dA" % rows if rows > 0 else b""
        check(b"\r" + up + b"\x1b[J" in t.out[before:], "not from its beginning: %r" % t.out[before:])
    t.resize(40, 20)
    t.wait_for("What is [^>]*know\\?")
    before = len(t.out)
    t.send("\x01")  # to the beginning: one line up, as there are two now
    while b"\x1b[A" not in t.out[before:] and b"\x1bM" not in t.out[before:]:
        check(t.read(30), "the cursor does not go up: %r" % t.out[before:])
    t.send("\x0b/stats\r")
    t.wait_for("messages +0")
    t.prompt()
    leave(t)


@test
def pasted_text_is_in_the_history():
    pasted = "What is\n3 + 4?\t\\ \u00e9\n"
    t = terminal("-n", "4", env=state("pastes"))
    editing(t)
    t.send(b"So: \x1b[200~" + pasted.encode() + b"\x1b[201~\r")
    t.wait_for("\\[pasted: 2 lines\\]")
    t.prompt()
    t.send("\x1b[A!\r")  # in the same process the line is as it was typed
    t.wait_for("So: \\[pasted: 2 lines\\]!")
    t.prompt()
    t.send("/save %s\r" % path("up.json"))
    t.wait_for("saved 4 messages")
    t.prompt()
    check([m["content"] for m in messages(path("up.json"))][::2] == ["So: " + pasted, "So: " + pasted + "!"], "the text")
    leave(t)
    t = terminal("-n", "4", env=state("pastes"))
    t.send("\x1b[A\x1b[A\x1b[A")  # in another one all of it is folded
    t.wait_for("\\[pasted: 3 lines\\]")  # the second one, over which the first is drawn
    t.send("?\r")
    t.prompt()
    t.send("/save %s\r" % path("again.json"))
    t.wait_for("saved 2 messages")
    t.prompt()
    check(messages(path("again.json"))[0]["content"] == "So: " + pasted + "?", "%r" % messages(path("again.json"))[0])
    leave(t)


@test
def colours_are_for_terminals_that_want_them():
    dim = b"\x1b[2m"
    t = terminal()
    check(dim in t.out, "no colour: %r" % t.out)
    leave(t)
    t = terminal(env={**state("state"), "NO_COLOR": "1"})
    check(dim not in t.out, "a colour in spite of NO_COLOR: %r" % t.out)
    leave(t)
    t = terminal(env={**state("state"), "TERM": "dumb"})
    check(b"\x1b" not in t.out, "an escape sequence on a dumb terminal: %r" % t.out)
    leave(t)


@test
def what_would_steer_the_terminal_is_not_shown():
    text = "a\x1b[31mb\x07c\u009bd\u00e9"
    file = write("steer.json", json.dumps([{"role": "system", "content": text}]).encode())
    t = terminal()
    t.send("/load %s\r/system\r" % file)
    t.wait_for("a\\[31mbcd\u00e9", "the text without its controls")
    t.prompt()
    check(b"\x1b[31m" not in t.out and b"\x07" not in t.out and b"\xc2\x9b" not in t.out, "controls: %r" % t.out[-300:])
    leave(t)


@test
def wrong_usage_is_said_before_a_model_is_opened():
    expect_error(strato("chat", path("nowhere.gguf"), "--think", "maybe"), 2, "--think")
    expect_error(strato("chat", path("nowhere.gguf")), 1, "nowhere.gguf")


sys.exit(main())
