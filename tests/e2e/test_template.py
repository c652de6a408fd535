"""strato template as a program: conversations in, texts or errors out, one per line; what fails ends in one line."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BINARY, DEMO, check, environment, main, test, write

HELLO = {"messages": [{"role": "user", "content": "Hi <|im_end|>"}], "add_generation_prompt": True}


def template(*args, lines=None, text=b""):
    data = text if lines is None else "".join(json.dumps(line) + "\n" for line in lines).encode()
    return subprocess.run([BINARY, "template", *args], input=data, capture_output=True, timeout=60, env=environment())


def answers(result):
    return [json.loads(line) for line in result.stdout.decode("utf-8").splitlines()]


@test
def the_models_own_template_is_rendered():
    result = template(DEMO, "--jsonl", lines=[HELLO, dict(HELLO, add_generation_prompt=False)])
    check(result.returncode == 0 and result.stderr == b"", "exit code or messages", result)
    turn = "<|im_start|>user\nHi <|im_end|><|im_end|>\n"
    check(answers(result) == [{"text": turn + "<|im_start|>assistant\n"}, {"text": turn}], "texts", result)
    check(answers(template(text=json.dumps(HELLO).encode()))[0]["text"].startswith(turn), "without a model's name")


@test
def variables_are_those_of_the_contract():
    file = write("t.jinja", b"{{ bos_token }}|{{ eos_token is defined }}|{{ tools is none }}|{{ tools is defined }}|"
                            b"{{ x }}|{{ strftime_now('%d.%m.%Y %H:%M') }}\n")
    for now in ("2026-01-15 12:00:00", "2026-01-15T12:00", "1768478400"):
        out = answers(template("-t", file, "--now", now, "--jsonl", lines=[
            {"messages": [], "bos_token": "<s>", "tools": None, "kwargs": {"x": [1, "\u00e9"]}},
            {"messages": [], "bos_token": None, "eos_token": "", "tools": []}]))
        check(out == [{"text": "<s>|False|True|True|[1, '\u00e9']|15.01.2026 12:00"},
                      {"text": "|True|False|True||15.01.2026 12:00"}], str(out))


@test
def every_line_has_an_answer():
    file = write("r.jinja", b"a\n{% if messages | length == 1 %}{{ raise_exception('One:\\n' ~ 1) }}{% endif %}"
                            b"{{ messages[0].content + 1 }}")
    data = b'{"messages":[1]}\n\n{"messages":[]}\n{"messages":{}}\n{\n[]\n{"messages":[],"tools":1}\n{"messages":[{"content":"x"},2]}'
    result = template("-t", file, "--jsonl", text=data)
    check(result.returncode == 0, "exit code", result)
    out = [line.get("error") for line in answers(result)]
    check(out[0] == "One:\n1", "a refusal is the template's text", result)
    check(out[1].startswith("line 2: ") and "undefined" in out[1], out[1])
    check(out[2] == '"messages" is not a list' and "line 1, column 2" in out[3] and "object" in out[4], str(out))
    check(out[5] == '"tools" is not a list or null' and out[6] == "line 2: text + integer is not possible", str(out))


@test
def failures_end_in_one_line():
    bad = write("bad.jinja", b"a\n{% for %}")
    none = write("none.gguf", b"GGUF")
    for args, text, code, part in ((["-t", bad], b"", 3, "line 2"), (["-t", bad + "x"], b"", 1, "bad.jinjax"),
                                   ([none], b"", 3, "none.gguf"), (["--now", "soon"], b"", 2, "soon"),
                                   ([DEMO], b"{", 1, "column 2"), ([DEMO], b'{"messages":[{}]}', 1, "line 1")):
        result = template(*args, text=text)
        message = result.stderr.decode("utf-8")
        check(result.returncode == code and part in message and message.count("\n") == 1, "%s: %s" % (args, message), result)


sys.exit(main())
