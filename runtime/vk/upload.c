/* Bytes between host and device: straight through the map where device memory has one, else through staging.
 *
 *   sto_upload:  slot 0 [fill][copy runs........]
 *                slot 1             [fill][copy runs........]     the host fills one slot while the other is copied */
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/vk/device_impl.h"
#include "runtime/vk/recorder.h"

enum { N_SLOTS = 2, SLOT_BYTES = 16 << 20, LEAST_SLOT_BYTES = 64 << 10 };

struct slot {
    struct sto_buffer buffer;
    struct sto_recording *rec;
    uint64_t ticket; /* 0: nothing runs */
};

struct sto_uploader {
    struct sto_device *device;
    struct slot slots[N_SLOTS];
    uint32_t next;
};

enum sto_status sto_uploader_create(struct sto_device *device, struct sto_uploader **out, struct sto_error *err)
{
    *out = NULL;
    struct sto_uploader *up = sto_calloc(1, sizeof *up);
    if (up == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "out of memory for an uploader");
    up->device = device; /* slots are made at their first use: where device memory is mapped there is none */
    *out = up;
    return STO_OK;
}

/* A slot that nothing reads any more, with room for so many bytes: no larger than what is uploaded, since such memory
 * is short. */
static enum sto_status slot_open(struct sto_uploader *up, struct slot *slot, uint64_t bytes, struct sto_error *err)
{
    enum sto_status status = STO_OK;
    if (slot->rec == NULL)
        status = sto_recording_create(up->device, &slot->rec, err);
    if (status == STO_OK && slot->ticket != 0)
        status = sto_device_wait(up->device, slot->ticket, err);
    slot->ticket = 0;
    if (status != STO_OK || bytes <= slot->buffer.bytes)
        return status;
    sto_buffer_destroy(up->device, &slot->buffer);
    return sto_buffer_create(up->device, STO_MEMORY_UPLOAD, bytes < LEAST_SLOT_BYTES ? LEAST_SLOT_BYTES : bytes,
                             "staging", &slot->buffer, err);
}

static enum sto_status check_range(const struct sto_buffer *buffer, uint64_t offset, uint64_t bytes,
                                   struct sto_error *err)
{
    if (offset > buffer->bytes || bytes > buffer->bytes - offset)
        return sto_fail(err, STO_ERR_USAGE, "%llu bytes at %llu do not lie in a buffer of %llu",
                        (unsigned long long)bytes, (unsigned long long)offset, (unsigned long long)buffer->bytes);
    return STO_OK;
}

enum sto_status sto_upload(struct sto_uploader *up, const struct sto_buffer *dst, uint64_t offset, const void *src,
                           uint64_t bytes, struct sto_error *err)
{
    enum sto_status status = check_range(dst, offset, bytes, err);
    if (status != STO_OK || bytes == 0)
        return status;
    if (dst->mapped != NULL) {
        memcpy((uint8_t *)dst->mapped + offset, src, (size_t)bytes);
        return STO_OK;
    }
    const uint8_t *from = src;
    while (bytes > 0) {
        const uint64_t part = bytes < SLOT_BYTES ? bytes : SLOT_BYTES;
        struct slot *slot = &up->slots[up->next];
        if ((status = slot_open(up, slot, part, err)) != STO_OK)
            return status;
        memcpy(slot->buffer.mapped, from, (size_t)part);
        sto_recording_begin(slot->rec);
        sto_record_copy(slot->rec, dst, offset, &slot->buffer, 0, part);
        if ((status = sto_recording_finish(slot->rec, err)) != STO_OK ||
            (status = sto_device_submit(up->device, slot->rec, &slot->ticket, err)) != STO_OK)
            return status;
        up->next = (up->next + 1) % N_SLOTS;
        from += part;
        offset += part;
        bytes -= part;
    }
    return STO_OK;
}

enum sto_status sto_upload_finish(struct sto_uploader *up, struct sto_error *err)
{
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        if (up->slots[i].ticket == 0)
            continue;
        const enum sto_status status = sto_device_wait(up->device, up->slots[i].ticket, err);
        if (status != STO_OK)
            return status;
        up->slots[i].ticket = 0;
    }
    return STO_OK;
}

void sto_uploader_destroy(struct sto_uploader *up)
{
    if (up == NULL)
        return;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        sto_recording_destroy(up->slots[i].rec); /* waits for its copy */
        sto_buffer_destroy(up->device, &up->slots[i].buffer);
    }
    sto_free(up);
}

/* ---- back ---- */

/* Reads through a staging buffer, a part at a time. */
static enum sto_status download_staged(struct sto_device *device, const struct sto_buffer *src, uint64_t offset,
                                       uint8_t *dst, uint64_t bytes, struct sto_error *err)
{
    struct sto_buffer staging = {0};
    struct sto_recording *rec = NULL;
    const uint64_t size = bytes < SLOT_BYTES ? bytes : SLOT_BYTES;
    enum sto_status status = sto_buffer_create(device, STO_MEMORY_READBACK, size, "readback", &staging, err);
    if (status == STO_OK)
        status = sto_recording_create(device, &rec, err);
    while (status == STO_OK && bytes > 0) {
        const uint64_t part = bytes < size ? bytes : size;
        uint64_t ticket = 0;
        sto_recording_begin(rec);
        sto_record_copy(rec, &staging, 0, src, offset, part);
        if ((status = sto_recording_finish(rec, err)) != STO_OK ||
            (status = sto_device_submit(device, rec, &ticket, err)) != STO_OK ||
            (status = sto_device_wait(device, ticket, err)) != STO_OK)
            break;
        memcpy(dst, staging.mapped, (size_t)part);
        dst += part;
        offset += part;
        bytes -= part;
    }
    sto_recording_destroy(rec);
    sto_buffer_destroy(device, &staging);
    return status;
}

enum sto_status sto_download(struct sto_device *device, const struct sto_buffer *src, uint64_t offset, void *dst,
                             uint64_t bytes, struct sto_error *err)
{
    enum sto_status status = check_range(src, offset, bytes, err);
    if (status != STO_OK || bytes == 0)
        return status;
    if (src->mapped == NULL)
        return download_staged(device, src, offset, dst, bytes, err);
    if ((status = sto_device_wait(device, device->last_ticket, err)) != STO_OK)
        return status;
    memcpy(dst, (const uint8_t *)src->mapped + offset, (size_t)bytes);
    return STO_OK;
}
