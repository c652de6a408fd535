/* One line of JSON for each span, written as it comes. */
#include "runtime/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/base/status.h"

struct sto_trace {
    FILE *file;
    char path[1024];
    struct sto_mutex *lock;
    uint64_t start_ns;
};

enum { MAX_LINE = 384 };

static const char *const track_names[] = {[STO_TRACE_COMPUTE] = "compute", [STO_TRACE_COPIES] = "copies",
                                          [STO_TRACE_PROCESSOR] = "processor"};

/* printf's text into the file, at most MAX_LINE bytes of it. */
static void put(struct sto_trace *trace, const char *format, ...)
{
    char line[MAX_LINE];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n > 0)
        (void)fwrite(line, 1, n < MAX_LINE ? (size_t)n : MAX_LINE - 1, trace->file); /* ferror tells at the end */
}

enum sto_status sto_trace_open(const char *path, uint64_t start_ns, struct sto_trace **out, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    *out = NULL;
    struct sto_trace *trace = sto_calloc(1, sizeof *trace);
    if (trace == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "%s: out of memory for a trace", path);
    (void)snprintf(trace->path, sizeof trace->path, "%s", path);
    trace->start_ns = start_ns;
    trace->lock = sto_mutex_create();
    if (trace->lock == NULL) {
        status = sto_fail(err, STO_ERR_NO_FIT, "%s: out of memory for a trace", path);
        goto fail;
    }
    trace->file = sto_file_create(path, err);
    if (trace->file == NULL) {
        status = err != NULL ? err->status : STO_ERR_FAILED;
        goto fail;
    }
    put(trace, "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n");
    for (int i = 0; i < STO_TRACE_TRACKS; i++)
        put(trace, "%s{\"name\": \"thread_name\", \"ph\": \"M\", \"pid\": 1, \"tid\": %d, "
                      "\"args\": {\"name\": \"%s\"}}", i > 0 ? ",\n" : "", i + 1, track_names[i]);
    *out = trace;
    return STO_OK;
fail:
    (void)sto_trace_close(trace, NULL);
    return status;
}

static double microseconds(const struct sto_trace *trace, uint64_t ns)
{
    return ns > trace->start_ns ? (double)(ns - trace->start_ns) / 1e3 : 0.0;
}

void sto_trace_add(struct sto_trace *trace, const struct sto_trace_span *span)
{
    if (trace == NULL)
        return;
    const double begin = microseconds(trace, span->begin_ns), end = microseconds(trace, span->end_ns);
    sto_mutex_lock(trace->lock);
    put(trace,
                  ",\n{\"name\": \"%s %u\", \"ph\": \"X\", \"pid\": 1, \"tid\": %d, \"ts\": %.3f, \"dur\": %.3f, "
                  "\"args\": {\"number\": %u",
                  span->name, (unsigned)span->number, (int)span->track + 1, begin, end > begin ? end - begin : 0.0,
                  (unsigned)span->number);
    if (span->bytes > 0)
        put(trace, ", \"bytes\": %" PRIu64, span->bytes);
    if (span->columns > 0)
        put(trace, ", \"columns\": %u", (unsigned)span->columns);
    put(trace, "}}");
    sto_mutex_unlock(trace->lock);
}

enum sto_status sto_trace_close(struct sto_trace *trace, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    if (trace == NULL)
        return STO_OK;
    if (trace->file != NULL) {
        put(trace, "\n]}\n");
        const bool failed = ferror(trace->file) != 0;
        if (fclose(trace->file) != 0 || failed)
            status = sto_fail(err, STO_ERR_FAILED, "%s: the trace could not be written whole", trace->path);
    }
    sto_mutex_destroy(trace->lock);
    sto_free(trace);
    return status;
}
