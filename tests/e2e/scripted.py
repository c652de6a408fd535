"""A model whose next token is known: the demo model with one token that says what a test wants to hear.

    model = scripted(path("x.gguf"), "<think>\nWell.\n</think>\n\nYes.")
    good("run", model, "-p", "x", *SAY_IT)
"""
from harness import DEMO
from model_file import STRING, ModelFile

TOKEN, USER_DEFINED = 1533, 4  # <|endoftext|>, which no conversation of the demo model needs
SAY_IT = ["--temp", "0", "-n", "1", "--logit-bias", "%d=1000" % TOKEN, "--no-self-test"]

# Turns as the demo model has them, with a list of tools before them, and the marks of Qwen's thoughts and calls.
TEMPLATE = """{%- if tools %}{{ '<|im_start|>system\\nTools, called in <tool_call>:' }}
{%- for tool in tools %}{{ ' ' + tool.function.name }}{%- endfor %}{{ '<|im_end|>\\n' }}{%- endif %}
{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content }}
{%- for call in m.tool_calls or [] %}{{ '<tool_call>' + call.id + call.function | tojson + '</tool_call>' }}{%- endfor %}
{{- '<|im_end|>\\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and not enable_thinking %}{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}"""


def scripted(path, says, template=TEMPLATE):
    f = ModelFile.read(DEMO)
    f.kv["tokenizer.ggml.tokens"][1][1][TOKEN] = says.encode()
    f.kv["tokenizer.ggml.token_type"][1][1][TOKEN] = USER_DEFINED
    f.kv["tokenizer.chat_template"] = (STRING, template.encode())
    f.write(path)
    return path
