/* A driver that is made up: the libcuda.so.1 and libnvcuvid.so.1 that FFmpeg loads, on a machine
 * without a GPU. "Device memory" is memory; a decoder paints picture n of its life, from 0, with luma
 * 16 + n, chroma 50 + n and 150 + n, whatever the stream says.
 *
 * The file that FAKE_NVIDIA_FAULT names holds what is wrong now, a word: "none" or nothing, "absent"
 * (no GPU), "full" (no further decoder), "unsupported" (no such stream), "lost" (pictures fail, and so do new
 * contexts), "torn" (pictures decode, and cannot be fetched). FAKE_NVIDIA_LOG names a file that gets a line
 * for each context and decoder that is made or ended, so that a test sees what is left behind.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
typedef unsigned long long CUdeviceptr;

enum { SUCCESS = 0, OUT_OF_MEMORY = 2, NO_DEVICE = 100, NOT_SUPPORTED = 801, LAUNCH_FAILED = 719 };

static int fault(const char *name)
{
    const char *path = getenv("FAKE_NVIDIA_FAULT");
    FILE *file = path ? fopen(path, "r") : NULL;
    char word[32] = "";
    if (file) {
        if (fscanf(file, "%31s", word) != 1)
            word[0] = 0;
        fclose(file);
    }
    return strcmp(word, name) == 0;
}

static void note(const char *text)
{
    const char *path = getenv("FAKE_NVIDIA_LOG");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%s\n", text);
        fclose(file);
    }
}

/* ---- libcuda ---- */

CUresult cuInit(unsigned flags) { return fault("absent") ? NO_DEVICE : SUCCESS; }
CUresult cuDeviceGetCount(int *count) { *count = 2; return SUCCESS; }
CUresult cuDeviceGet(int *device, int ordinal)
{
    *device = ordinal;
    return ordinal < 2 ? SUCCESS : 101;
}
CUresult cuDeviceGetName(char *name, int length, int device)
{
    snprintf(name, length, "Made-up GPU %d", device);
    return SUCCESS;
}
CUresult cuDeviceGetAttribute(int *value, int attribute, int device) { *value = 512; return SUCCESS; }
CUresult cuDeviceComputeCapability(int *major, int *minor, int device)
{
    *major = 9;
    *minor = 0;
    return SUCCESS;
}
CUresult cuCtxCreate_v2(void **context, unsigned flags, int device)
{
    if (fault("lost"))
        return LAUNCH_FAILED;
    note("context made");
    *context = malloc(1);
    return SUCCESS;
}
CUresult cuCtxDestroy_v2(void *context) { note("context ended"); free(context); return SUCCESS; }
CUresult cuCtxPushCurrent_v2(void *context) { return SUCCESS; }
CUresult cuCtxPopCurrent_v2(void **context) { if (context) *context = NULL; return SUCCESS; }
CUresult cuCtxGetDevice(int *device) { *device = 0; return SUCCESS; }
CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t size)
{
    *pointer = (CUdeviceptr)(size_t)malloc(size);
    return *pointer ? SUCCESS : OUT_OF_MEMORY;
}
CUresult cuMemFree_v2(CUdeviceptr pointer) { free((void *)(size_t)pointer); return SUCCESS; }
CUresult cuStreamSynchronize(void *stream) { return SUCCESS; }
CUresult cuGetErrorName(CUresult error, const char **text) { *text = "made up"; return SUCCESS; }
CUresult cuGetErrorString(CUresult error, const char **text) { *text = "made up"; return SUCCESS; }

struct side {
    size_t x, y;
    int kind; /* 1: host, 2: device */
    void *host;
    CUdeviceptr device;
    void *array;
    size_t pitch;
};

struct copy {
    struct side from, to;
    size_t width, height;
};

static char *start(const struct side *side)
{
    char *base = side->kind == 1 ? side->host : (char *)(size_t)side->device;
    return base + side->y * side->pitch + side->x;
}

CUresult cuMemcpy2D_v2(const struct copy *copy)
{
    if (fault("torn"))
        return LAUNCH_FAILED;
    for (size_t row = 0; row < copy->height; row++)
        memcpy(start(&copy->to) + row * copy->to.pitch, start(&copy->from) + row * copy->from.pitch,
               copy->width);
    return SUCCESS;
}
CUresult cuMemcpy2DAsync_v2(const struct copy *copy, void *stream) { return cuMemcpy2D_v2(copy); }

/* What FFmpeg looks up and this way of decoding never calls. */
#define NEVER(name) CUresult name(void) { return NOT_SUPPORTED; }
NEVER(cuArray3DCreate_v2) NEVER(cuArrayDestroy) NEVER(cuCtxSetLimit) NEVER(cuDestroyExternalMemory)
NEVER(cuDestroyExternalSemaphore) NEVER(cuDeviceGetUuid) NEVER(cuDevicePrimaryCtxGetState)
NEVER(cuDevicePrimaryCtxRelease) NEVER(cuDevicePrimaryCtxReset) NEVER(cuDevicePrimaryCtxRetain)
NEVER(cuDevicePrimaryCtxSetFlags) NEVER(cuEGLStreamConsumerDisconnect)
NEVER(cuEGLStreamProducerConnect) NEVER(cuEGLStreamProducerDisconnect)
NEVER(cuEGLStreamProducerPresentFrame) NEVER(cuEGLStreamProducerReturnFrame) NEVER(cuEventCreate)
NEVER(cuEventDestroy_v2) NEVER(cuEventQuery) NEVER(cuEventRecord) NEVER(cuEventSynchronize)
NEVER(cuExternalMemoryGetMappedBuffer) NEVER(cuExternalMemoryGetMappedMipmappedArray)
NEVER(cuGLGetDevices_v2) NEVER(cuGraphicsGLRegisterImage) NEVER(cuGraphicsMapResources)
NEVER(cuGraphicsResourceGetMappedPointer_v2) NEVER(cuGraphicsSubResourceGetMappedArray)
NEVER(cuGraphicsUnmapResources) NEVER(cuGraphicsUnregisterResource) NEVER(cuImportExternalMemory)
NEVER(cuImportExternalSemaphore) NEVER(cuLaunchKernel) NEVER(cuLinkAddData) NEVER(cuLinkComplete)
NEVER(cuLinkCreate) NEVER(cuLinkDestroy) NEVER(cuMemAllocManaged) NEVER(cuMemAllocPitch_v2)
NEVER(cuMemcpy) NEVER(cuMemcpyAsync) NEVER(cuMemcpyDtoDAsync_v2) NEVER(cuMemcpyDtoD_v2)
NEVER(cuMemcpyDtoHAsync_v2) NEVER(cuMemcpyDtoH_v2) NEVER(cuMemcpyHtoDAsync_v2)
NEVER(cuMemcpyHtoD_v2) NEVER(cuMemsetD8Async) NEVER(cuMipmappedArrayDestroy)
NEVER(cuMipmappedArrayGetLevel) NEVER(cuModuleGetFunction) NEVER(cuModuleGetGlobal)
NEVER(cuModuleLoadData) NEVER(cuModuleUnload) NEVER(cuSignalExternalSemaphoresAsync)
NEVER(cuStreamAddCallback) NEVER(cuStreamCreate) NEVER(cuStreamDestroy_v2) NEVER(cuStreamQuery)
NEVER(cuStreamWaitEvent) NEVER(cuTexObjectCreate) NEVER(cuTexObjectDestroy)
NEVER(cuWaitExternalSemaphoresAsync) NEVER(cuDriverGetVersion) NEVER(cuMemcpyPeer)

/* ---- libnvcuvid ---- */

struct caps {
    int codec, chroma;
    unsigned depth, reserved[3];
    unsigned char supported, engines;
    unsigned short formats;
    unsigned max_width, max_height, max_blocks;
    unsigned short min_width, min_height;
};

struct create {
    unsigned long width, height, surfaces;
};

struct picture {
    int blocks_wide, blocks_high, index;
};

struct decoder {
    size_t width, height, pitch, surfaces;
    unsigned pictures;
    unsigned char *shown; /* what each surface is painted with */
};

CUresult cuvidGetDecoderCaps(struct caps *caps)
{
    caps->supported = !fault("unsupported");
    caps->engines = 1;
    caps->formats = 0xf;
    caps->max_width = caps->max_height = 8192;
    caps->max_blocks = 262144;
    caps->min_width = caps->min_height = 16;
    return SUCCESS;
}

CUresult cuvidCreateDecoder(struct decoder **into, const struct create *create)
{
    if (fault("full"))
        return OUT_OF_MEMORY;
    struct decoder *decoder = calloc(1, sizeof(*decoder));
    decoder->width = create->width;
    decoder->height = create->height;
    decoder->pitch = (create->width + 511) / 512 * 512;
    decoder->surfaces = create->surfaces;
    decoder->shown = calloc(create->surfaces, 1);
    note("decoder made");
    *into = decoder;
    return SUCCESS;
}

CUresult cuvidDestroyDecoder(struct decoder *decoder)
{
    note("decoder ended");
    free(decoder->shown);
    free(decoder);
    return SUCCESS;
}

CUresult cuvidDecodePicture(struct decoder *decoder, const struct picture *picture)
{
    if (fault("lost"))
        return LAUNCH_FAILED;
    if (picture->index < 0 || (size_t)picture->index >= decoder->surfaces)
        return 1;
    decoder->shown[picture->index] = decoder->pictures++ % 100;
    return SUCCESS;
}

CUresult cuvidMapVideoFrame64(struct decoder *decoder, int index, CUdeviceptr *pointer,
                              unsigned *pitch, void *parameters)
{
    size_t luma = decoder->pitch * decoder->height;
    unsigned char *memory = malloc(luma + luma / 2 + decoder->pitch), n = decoder->shown[index];
    if (fault("lost") || !memory) {
        free(memory);
        return LAUNCH_FAILED;
    }
    memset(memory, 16 + n, luma);
    for (size_t at = luma; at + 1 < luma + luma / 2 + decoder->pitch; at += 2) {
        memory[at] = 50 + n;
        memory[at + 1] = 150 + n;
    }
    *pointer = (CUdeviceptr)(size_t)memory;
    *pitch = decoder->pitch;
    return SUCCESS;
}

CUresult cuvidUnmapVideoFrame64(struct decoder *decoder, CUdeviceptr pointer)
{
    free((void *)(size_t)pointer);
    return SUCCESS;
}

NEVER(cuvidCreateVideoParser) NEVER(cuvidCreateVideoSource) NEVER(cuvidCreateVideoSourceW)
NEVER(cuvidCtxLock) NEVER(cuvidCtxLockCreate) NEVER(cuvidCtxLockDestroy) NEVER(cuvidCtxUnlock)
NEVER(cuvidDestroyVideoParser) NEVER(cuvidDestroyVideoSource) NEVER(cuvidGetDecodeStatus)
NEVER(cuvidGetSourceAudioFormat) NEVER(cuvidGetSourceVideoFormat) NEVER(cuvidGetVideoSourceState)
NEVER(cuvidParseVideoData) NEVER(cuvidReconfigureDecoder) NEVER(cuvidSetVideoSourceState)
