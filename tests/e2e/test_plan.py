"""strato plan as people use it: tables that add up, header-only files, rates given and measured, what does not fit."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import DEMO, check, environment, expect_error, good, main, path, strato, test, write

CARD = ("--rates", "vram=300,link=13,compute=20")
NOWHERE = dict(VK_DRIVER_FILES="/nonexistent/icd.json", VK_ICD_FILENAMES="/nonexistent/icd.json")


def plan(*args, **more):
    return json.loads(good("plan", *args, "--json", **more).out)


@test
def a_table_for_a_card_that_is_not_here():
    env = environment(**NOWHERE)
    out = good("plan", "--shape", "8b:q4_k_m", "--vram", "4G", *CARD, env=env)
    text = out.out.decode()
    check(out.err == b"", "something on stderr", out)
    for part in ("36 layers", "resident", "streamed", "ring", "embedding", "output matrix", "KV cache", "scratch",
                 "of 4.00 GiB", "generation", "prompts", "1 GiB less", "1 GiB more", "--ubatch 2048", "--place ",
                 "vram 300 GB/s, compute 20 TFLOP/s, link 13 GB/s"):
        check(part in text, "no '%s'" % part, out)
    place = text.split("--place ")[1].split()[0]
    layers = [n for item in place.split(",") for n in [item.split(":")[1].split("-")]]
    check(int(layers[0][0]) == 0 and int(layers[-1][-1]) == 35, "not all layers are placed", out)


@test
def layers_of_the_processor_are_streamed_for_prompts():
    env = environment(**NOWHERE)
    ask = ("--shape", "8b:q4_k_m", "--vram", "4G", "--ram", "16G", "--ubatch", "2048")
    rates = "vram=300,product=300,link=25,link_back=25,dram=65,dram_shared=65,cpu=40,cpu_compute=%s,compute=20,crossing=30"
    p = plan(*ask, "--rates", rates % 1, env=env)
    phased = p["phased_layers"]
    check(0 < phased <= p["lanes"]["cpu"]["layers"] == p["decode_lanes"].count("cpu"), "phased: %s" % p)
    check(sum(lane["layers"] for lane in p["lanes"].values()) == 36, "layers: %s" % p["lanes"])
    moved = sum(d == "cpu" and s == "stream" for d, s in zip(p["decode_lanes"], p["prefill_lanes"]))
    check(moved == phased and p["prompt_tokens"] > 1, "prefill lanes: %s" % p)
    # arithmetic alone allows about 1,400: 14 GFLOP per token at 20 TFLOP/s
    check(p["prefill"]["tokens_per_s"] > 0.9 * 1260, "prompts are slow: %s" % p["prefill"])
    text = good("plan", *ask, "--rates", rates % 1, env=env).out.decode()
    check("phased:" in text and "of them phased" in text, "the table says nothing of it: %s" % text)
    none = plan(*ask, "--rates", rates % 1, "--deterministic", env=env)
    check(none["phased_layers"] == 0, "phases with --deterministic")


@test
def figures_add_up():
    env = environment(**NOWHERE)
    before = 0
    for gib in range(2, 8):
        p = plan("--shape", "8b:q4_k_m", "--vram", "%dG" % gib, *CARD, env=env)
        lanes = p["lanes"]
        check(sum(lane["layers"] for lane in lanes.values()) == 36 == len(p["decode_lanes"]), "layers: %s" % lanes)
        for name, lane in lanes.items():
            check(lane["layers"] == p["decode_lanes"].count(name), "lanes: %s" % p)
        on_host = p["embedding_bytes"] if p["embedding"] == "cpu" else 0
        check((on_host > 0) == (lanes["stream"]["layers"] > 0), "the embedding is where it need not be: %s" % p)
        parts = lanes["resident"]["bytes"] - on_host + sum(p[k] for k in ("ring_bytes", "embedding_bytes", "output_bytes",
                                                                "kv_device_bytes", "scratch_bytes"))
        check(abs(parts - p["device_bytes"]) < 8192 and p["device_bytes"] <= gib << 30, "device bytes: %s" % p)
        check(p["host_bytes"] == lanes["stream"]["bytes"] + on_host + p["host_buffer_bytes"], "host bytes")
        check(p["decode"]["tokens_per_s"] >= before, "slower with more memory")
        check(p["decode_full"]["tokens_per_s"] <= p["decode"]["tokens_per_s"], "a full context is faster")
        before = p["decode"]["tokens_per_s"]
        for other in p["with"]:
            if other["what"] == "1 GiB more" and gib < 6:
                again = plan("--shape", "8b:q4_k_m", "--vram", "%dG" % (gib + 1), "--ctx", p["ctx_tokens"], *CARD,
                             env=env)
                check(again["decode"]["tokens_per_s"] == other["decode"]["tokens_per_s"], "1 GiB more is another plan")
    # All resident: 4.68 GB at 300 GB/s; the KV cache is read besides.
    check(p["decode_full"]["tokens_per_s"] < p["decode"]["tokens_per_s"], "a full context costs nothing")
    check(lanes["stream"]["layers"] == 0 and 61 < before < 66, "all resident: %s tokens/s" % before)
    check(p["decode"]["limited_by"] == "device memory" and p["prefill"]["limited_by"] == "device arithmetic", "limits")


@test
def a_header_is_enough():
    with open(DEMO, "rb") as f:
        header = write("header.gguf", f.read()[:300000])
    args = ("--vram", "16.5M", *CARD)
    whole, part = plan(DEMO, *args), plan(header, *args)
    whole["model"] = part["model"] = ""
    check(whole == part and whole["lanes"]["stream"]["layers"] > 0, "the header gives another plan")
    check(plan(*args)["arch"] == "qwen3", "the demo model")


@test
def rates_come_from_a_file_too():
    listed = write("rates.txt", b"# a card\nvram = 300\nlink = 13, compute = 20\n")
    a = plan("--vram", "16.5M", "--rates", listed)
    check(a == plan("--vram", "16.5M", *CARD) and a["device"] is None, "another plan, or a device")
    check(a["rates"]["link"] == 13 and a["rates"]["cpu"] is None, "rates")


@test
def what_cannot_be_is_said():
    for args, code, *parts in (
            (["--rates", "speed=3"], 2, "speed", "crossing"), (["--rates", "link=fast"], 2, "link", "fast"),
            (["--rates", "link=-1"], 2, "link", "-1"), (["--rates", "vram=1,vram=2"], 2, "twice"),
            (["--rates", path("missing.txt")], 1, path("missing.txt")), (["--rates", "/"], 1, "directory"),
            (["--rates", write("bad.txt", b"vram=3\n\xff\x00=2")], 2, "bad.txt", "line 2"),
            (["--rates", write("long.txt", b"\n" * 70000)], 1, "long.txt"),
            (["--vram", "1M", *CARD], 5, "demo.gguf", "on the device", "1.0 MiB is available", "--ctx"),
            (["--vram", "16.5M", "--ram", "1M", *CARD], 5, "host memory", "1.0 MiB"),
            (["--vram", "16.5M", "--ctx", "513", *CARD], 2, "513", "512"),
            (["--ctx", "0"], 2, "--ctx"), (["--depth", "x"], 2, "--depth"), (["--vram", "much"], 2, "much"),
            (["--shape", "8b"], 2, "8b"), (["--shape", "tiny:f16", DEMO], 2, "one of them"),
            ([path("missing.gguf"), *CARD, "--vram", "1G"], 1, "missing.gguf"),
            ([write("not.gguf", b"no model"), *CARD, "--vram", "1G"], 3, "not.gguf")):
        expect_error(strato("plan", *args), code, *parts)
    expect_error(strato("plan", DEMO, env=environment(**NOWHERE)), 4, "Vulkan")
    expect_error(strato("plan", DEMO, "--vram", "16M", env=environment(**NOWHERE)), 4, "Vulkan")
    expect_error(strato("plan", DEMO, *CARD, env=environment(**NOWHERE)), 4, "Vulkan")
    full = strato("plan", "--vram", "1G", *CARD, stdout=open("/dev/full", "wb"))
    check(full.code == 1 and b"standard output" in full.err, "a full disk", full)


@test
def rates_are_measured_once_and_run_follows_the_plan():
    env = environment(XDG_CACHE_HOME=path("measured"))
    ask = ("run", DEMO, "-p", "Hello!", "--temp", "0", "-n", "4")
    unplanned = good(*ask, "--vram", "16.5M", "-v", env=env)
    check(b"expected" not in unplanned.err, "measured beyond the budget", unplanned)
    first, before = plan(env=env), None
    for _ in range(30):  # on a slow machine formats are left for later starts
        if before is not None and first["rates"] == before["rates"]:
            break
        first, before = plan(env=env), first
    for rate in ("vram", "product", "compute", "link", "link_unpinned", "link_back", "link_back_unpinned", "dram",
                 "dram_shared", "crossing", "cpu", "cpu_compute"):
        check(first["rates"][rate] is not None and first["rates"][rate] > 0, "%s was not measured" % rate)
    check(first["rates"]["disk"] is None, "a rate that nobody measured")
    check(first["rates"] == before["rates"], "measured again and again")
    overridden = plan("--rates", "link=7", env=env)
    check(overridden["rates"]["link"] == 7 and overridden["rates"]["vram"] == first["rates"]["vram"], "--rates")
    small = plan("--vram", "16.5M", env=env)
    streamed, on_cpu = small["lanes"]["stream"]["layers"], small["lanes"]["cpu"]["layers"]
    check(small["decode_lanes"] == small["prefill_lanes"], "two placements")
    result = good(*ask, "--vram", "16.5M", "-v", env=env)
    said = result.err.decode()
    check(streamed + on_cpu > 0 and "tokens/s expected" in said, "no plan", result)
    check(streamed == 0 or ("%d streamed through %d slot" % (streamed, small["ring_slots"]) in said and
                            "%d of 4 layers streamed" % streamed in said), "not streamed as planned", result)
    check(on_cpu == 0 or ("%d on the processor" % on_cpu in said and
                          said.count("on the processor") > 1), "not on the processor as planned", result)
    check(result.out == good(*ask, env=env).out == unplanned.out, "another answer", result)
    placed = plan("--vram", "16.5M", "--rates", "cpu=100,link=0.001", env=env)
    check(placed["lanes"]["cpu"]["layers"] > 0 and placed["lanes"]["stream"]["layers"] == 0, "not on the processor")
    expect_error(strato(*ask, "--vram", "16.5M", "--ram", "1M", env=env), 5, "host memory")
    check("forgotten" in good("tune", "--reset", env=env).out.decode(), "reset")


sys.exit(main())
