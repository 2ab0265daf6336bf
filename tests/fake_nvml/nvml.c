/* A stand-in for libnvidia-ml.so.1: as much of NVML as the agent asks for.
 *
 * What it answers stands in the file that $FAKE_NVML_SCENARIO names, read anew at each call:
 *
 *   init 9                       nvmlInit fails with this code
 *   driver 550.54.15
 *   load 2                       the driver was reloaded: UNINITIALIZED until nvmlInit is called again
 *   gpu uuid=GPU-1 total=... used=... reserved=... util=40 power=<mW> energy=<mJ> celsius=40 limit=<mW> state=<code>
 *                                mig=1 compute=3 name=to the end; compute: 0 default, 1 exclusive thread, 2 prohibited, 3 exclusive process
 *   slice 0 uuid=MIG-1 total=... used=... name=...        a MIG device of the card in the first place
 *   process 0 4711 2048          uses the card in the first place, and so many bytes of it; without: N/A
 *   process 0.1 4711 2048        the same of a MIG device, which is the second one of the card
 *   tenants /tmp/x/tenants       a directory of files like 0.4711, "<bytes> <percent>": as long as such a process lives,
 *                                it uses the card in the first place, with so much memory and so much utilisation
 *   plant /tmp/x/simulated       a directory of loads (gpu_queue/gpus/plant.py), which come on top of used= and util=
 *   window 167                   over so many ms the loads of the plant make up the utilisation (500)
 *   fail 0 nvmlDeviceGetPowerUsage 3                      one question to that card and its slices fails so
 *   slow 0 nvmlDeviceGetMemoryInfo_v2 2500                an answer that takes so many ms; *: each answer of that card
 *   hang 0 nvmlDeviceGetMemoryInfo_v2                     none comes until this line is gone; *: as above
 *   hang -1 nvmlInitWithFlags                             -1: what is asked of the driver and of no card
 *   calls /tmp/x/calls           each call is told there as it begins: CLOCK_MONOTONIC in ns, process, card, function
 *
 * Several threads may call at once, as in the real one; one that hangs hinders no other.
 *
 * A function is left out by -DnvmlWhatever=left_out, which gives its symbol another name.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CARDS = 16, MAX_SLICES = 8, MAX_FAILS = 32, MAX_DELAYS = 32, MAX_PROCESSES = 64 };
#define NOT_AVAILABLE 0xffffffffffffffffull
enum { NO_CARD = -1, FOR_EVER = -1 };
enum { KERNELS = 256, MAX_LOADS = 64 };  /* of a load's file; of all cards together */
enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } MemoryV2;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } Process;

typedef struct {
    char uuid[96], name[96];
    unsigned long long total, used, reserved, util, power, energy, celsius, limit, state, mig, compute;
} Device;

static __thread struct {
    int init_code, load, cards, fails, delays, processes, window_ms;
    char driver[80], plant[512], calls[512], tenants[512];
    Device card[MAX_CARDS], slice[MAX_CARDS][MAX_SLICES];
    int slices[MAX_CARDS];
    struct { int card, code; char function[64]; } fail[MAX_FAILS];
    struct { int card, ms; char function[64]; } delay[MAX_DELAYS];
    struct { int card, slice; unsigned pid; unsigned long long used; } process[MAX_PROCESSES];
} now;
static int initialised_load = -1, users; /* as in the real one, each start wants an end of its own */

static void parse_device(Device *device, char *text) {
    char *name = strstr(text, "name=");
    if (name) {
        snprintf(device->name, sizeof device->name, "%s", name + 5);
        *name = 0;
    }
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        char *value = strchr(word, '=');
        if (!value) continue;
        *value++ = 0;
        unsigned long long number = strtoull(value, NULL, 10);
        if (!strcmp(word, "uuid")) snprintf(device->uuid, sizeof device->uuid, "%s", value);
        else if (!strcmp(word, "total")) device->total = number;
        else if (!strcmp(word, "used")) device->used = number;
        else if (!strcmp(word, "reserved")) device->reserved = number;
        else if (!strcmp(word, "util")) device->util = number;
        else if (!strcmp(word, "power")) device->power = number;
        else if (!strcmp(word, "energy")) device->energy = number;
        else if (!strcmp(word, "celsius")) device->celsius = number;
        else if (!strcmp(word, "limit")) device->limit = number;
        else if (!strcmp(word, "state")) device->state = number;
        else if (!strcmp(word, "mig")) device->mig = number;
        else if (!strcmp(word, "compute")) device->compute = number;
    }
}

/* What plant.py writes: three numbers, and a ring of the last kernels. */
typedef struct { uint64_t begin, end; } Kernel;
typedef struct { uint64_t held, ended, since; Kernel kernel[KERNELS]; } Load;
enum { WINDOW_MS = 500 };

static int earlier(const void *one, const void *other) {
    uint64_t a = ((const Kernel *)one)->begin, b = ((const Kernel *)other)->begin;
    return a < b ? -1 : a > b;
}

/* Whether the file belongs to a writer that lives: then its lock is held. */
static int read_load(const char *path, Load *load) {
    int file = open(path, O_RDONLY | O_CLOEXEC), lives;
    if (file < 0) return 0;
    lives = flock(file, LOCK_SH | LOCK_NB) && read(file, load, sizeof *load) == (ssize_t)sizeof *load;
    close(file);
    return lives;
}

/* Adds the loads of one device to what the scenario says of it. */
static void add_loads(Device *device) {
    static __thread Kernel all[MAX_LOADS * (KERNELS + 1)];
    struct timespec clock;
    DIR *directory = now.plant[0] ? opendir(now.plant) : NULL;
    size_t length = strlen(device->uuid), count = 0;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    uint64_t at = (uint64_t)clock.tv_sec * 1000000000u + (uint64_t)clock.tv_nsec, busy = 0;
    uint64_t start = at - 1000000u * (uint64_t)(now.window_ms ? now.window_ms : WINDOW_MS);
    if (!directory) return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[1024];
        Load load;
        if (strncmp(entry->d_name, device->uuid, length) || entry->d_name[length] != '.') continue;
        snprintf(path, sizeof path, "%s/%s", now.plant, entry->d_name);
        if (count + KERNELS + 1 > sizeof all / sizeof *all || !read_load(path, &load)) continue;
        device->used += load.held;
        uint64_t oldest = load.ended < KERNELS ? 0 : UINT64_MAX;
        for (uint64_t i = 0; i < KERNELS && i < load.ended; i++) {
            all[count++] = load.kernel[i];
            if (load.ended >= KERNELS && load.kernel[i].begin < oldest) oldest = load.kernel[i].begin;
        }
        if (load.since) all[count++] = (Kernel){load.since, at};
        if (oldest > start) start = oldest; /* what is older is not known */
    }
    closedir(directory);
    if (device->used > device->total) device->used = device->total;
    qsort(all, count, sizeof *all, earlier);
    uint64_t reached = start;
    for (size_t i = 0; i < count; i++) { /* at the same time counts once */
        uint64_t begin = all[i].begin > reached ? all[i].begin : reached, end = all[i].end < at ? all[i].end : at;
        if (end > begin) busy += end - begin, reached = end;
    }
    if (at > start) device->util += (200 * busy / (at - start) + 1) / 2;
    if (device->util > 100) device->util = 100;
}

/* Not when it has ended and nobody has waited for it yet: its context has gone then. */
static int lives(unsigned pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[length] = 0;
    char *name_end = strrchr(text, ')');
    return name_end && name_end[1] == ' ' && name_end[2] != 'Z' && name_end[2] != 'X';
}

/* Processes that say themselves what they use. */
static void add_tenants(void) {
    DIR *directory = now.tenants[0] ? opendir(now.tenants) : NULL;
    if (!directory) return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[1024];
        int card;
        unsigned pid, percent = 0;
        unsigned long long used = 0;
        if (sscanf(entry->d_name, "%d.%u", &card, &pid) != 2 || card < 0 || card >= now.cards || !lives(pid)) continue;
        if (now.processes >= MAX_PROCESSES) abort();
        snprintf(path, sizeof path, "%s/%s", now.tenants, entry->d_name);
        FILE *file = fopen(path, "r");
        if (!file || fscanf(file, "%llu %u", &used, &percent) < 1) used = 0, percent = 0;
        if (file) fclose(file);
        Device *device = &now.card[card];
        device->used = device->used + used > device->total ? device->total : device->used + used;
        device->util = device->util + percent > 100 ? 100 : device->util + percent;
        now.process[now.processes].card = card;
        now.process[now.processes].slice = -1;
        now.process[now.processes].pid = pid;
        now.process[now.processes++].used = used;
    }
    closedir(directory);
}

static void read_scenario(void) {
    const char *path = getenv("FAKE_NVML_SCENARIO");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[1024];
    memset(&now, 0, sizeof now);
    while (file && fgets(line, sizeof line, file)) {
        int card, skip = 0;
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "init %d", &now.init_code) == 1) continue;
        if (sscanf(line, "load %d", &now.load) == 1) continue;
        if (sscanf(line, "driver %79s", now.driver) == 1) continue;
        if (sscanf(line, "plant %511[^\n]", now.plant) == 1) continue;
        if (sscanf(line, "calls %511[^\n]", now.calls) == 1) continue;
        if (sscanf(line, "tenants %511[^\n]", now.tenants) == 1) continue;
        if (sscanf(line, "window %d", &now.window_ms) == 1) continue;
        if (now.delays < MAX_DELAYS) {
            int *of = &now.delay[now.delays].card, *ms = &now.delay[now.delays].ms;
            char *function = now.delay[now.delays].function;
            if (sscanf(line, "slow %d %63s %d", of, function, ms) == 3) { now.delays++; continue; }
            if (sscanf(line, "hang %d %63s", of, function) == 2) { *ms = FOR_EVER; now.delays++; continue; }
        }
        if (!strncmp(line, "process ", 8) && now.processes < MAX_PROCESSES) {
            int slice = -1;
            unsigned pid;
            unsigned long long used = NOT_AVAILABLE;
            if (sscanf(line, "process %d.%d %u %llu", &card, &slice, &pid, &used) < 3)
                slice = -1, sscanf(line, "process %d %u %llu", &card, &pid, &used);
            now.process[now.processes].card = card;
            now.process[now.processes].slice = slice;
            now.process[now.processes].pid = pid;
            now.process[now.processes++].used = used;
            continue;
        }
        if (!strncmp(line, "gpu ", 4) && now.cards < MAX_CARDS) parse_device(&now.card[now.cards++], line + 4);
        else if (sscanf(line, "slice %d %n", &card, &skip) == 1 && skip && card < MAX_CARDS
                 && now.slices[card] < MAX_SLICES)
            parse_device(&now.slice[card][now.slices[card]++], line + skip);
        else if (now.fails < MAX_FAILS && sscanf(line, "fail %d %63s %d", &now.fail[now.fails].card,
                        now.fail[now.fails].function, &now.fail[now.fails].code) == 3)
            now.fails++;
    }
    if (file) fclose(file);
    add_tenants();
}

/* A handle is a number in the clothes of a pointer: the card's place + 1, and 100 times (the slice's place + 1). */
static void *handle_of(int card, int slice) { return (void *)(intptr_t)(100 * (slice + 1) + card + 1); }

static int failure(int card, const char *function) {
    for (int i = 0; i < now.fails; i++)
        if (now.fail[i].card == card && !strcmp(now.fail[i].function, function)) return now.fail[i].code;
    return (int)now.card[card].state;
}

static void tell_call(int card, const char *function) {
    char line[160];
    struct timespec clock;
    int file = now.calls[0] ? open(now.calls, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file < 0) return;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    unsigned long long at = (unsigned long long)clock.tv_sec * 1000000000u + (unsigned long long)clock.tv_nsec;
    int length = snprintf(line, sizeof line, "%llu %d %d %s\n", at, (int)getpid(), card, function);
    if (write(file, line, (size_t)length) != length) abort();
    close(file);
}

static int delay_ms(int card, const char *function) {
    for (int i = 0; i < now.delays; i++)
        if (now.delay[i].card == card && (now.delay[i].function[0] == '*' || !strcmp(now.delay[i].function, function)))
            return now.delay[i].ms;
    return 0;
}

/* Every call begins here: it is told, and takes as long as the scenario wants. */
static void enter(int card, const char *function) {
    int ms;
    read_scenario();
    tell_call(card, function);
    if ((ms = delay_ms(card, function)) > 0) usleep((useconds_t)ms * 1000), read_scenario();
    while (delay_ms(card, function) == FOR_EVER) usleep(2000), read_scenario();
}

static int begin(const char *function) {
    enter(NO_CARD, function);
    return now.load == initialised_load ? OK : UNINITIALIZED;
}

static int begin_on(void *handle, const char *function, Device **device, int *card, int *slice) {
    *card = (int)((intptr_t)handle % 100) - 1;
    *slice = (int)((intptr_t)handle / 100) - 1;
    enter(*card, function);
    if (now.load != initialised_load) return UNINITIALIZED;
    if (*card < 0 || *card >= now.cards || *slice >= now.slices[*card]) return INVALID_ARGUMENT;
    *device = *slice < 0 ? &now.card[*card] : &now.slice[*card][*slice];
    add_loads(*device);
    return failure(*card, function);
}

#define ASK(handle)                                                    \
    Device *device = NULL;                                             \
    int card, slice, code = begin_on(handle, __func__, &device, &card, &slice); \
    if (code) return code;
#define ASK_WHOLE_CARD(handle) \
    ASK(handle)                \
    if (slice >= 0) return NOT_SUPPORTED;

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    enter(NO_CARD, __func__);
    if (!now.init_code) initialised_load = now.load, users++;
    return now.init_code;
}

int nvmlShutdown(void) {
    int code = begin(__func__);
    if (users > 0 && --users == 0) initialised_load = -1;
    return code;
}

const char *nvmlErrorString(int code) {
    static __thread char text[40];
    snprintf(text, sizeof text, "fake error %d", code);
    return text;
}

int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    int code = begin(__func__);
    if (!code) snprintf(version, length, "%s", now.driver);
    return code;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    int code = begin(__func__);
    *count = (unsigned)now.cards;
    return code;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    ASK(handle_of((int)index, -1))
    *handle = handle_of(card, -1);
    return OK;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    int code = begin(__func__);
    for (int card = 0; !code && card < now.cards; card++)
        if (!strcmp(now.card[card].uuid, uuid)) {
            *handle = handle_of(card, -1);
            return failure(card, __func__);
        }
    return code ? code : NOT_FOUND;
}

int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned length) {
    ASK(handle)
    snprintf(uuid, length, "%s", device->uuid);
    return OK;
}

int nvmlDeviceGetName(void *handle, char *name, unsigned length) {
    ASK(handle)
    snprintf(name, length, "%s", device->name);
    return OK;
}

int nvmlDeviceGetMemoryInfo(void *handle, Memory *memory) {
    ASK(handle)
    memory->total = device->total;
    memory->used = device->used + device->reserved;
    memory->free = device->total - memory->used;
    return OK;
}

int nvmlDeviceGetMemoryInfo_v2(void *handle, MemoryV2 *memory) {
    ASK(handle)
    memory->total = device->total;
    memory->reserved = device->reserved;
    memory->used = device->used;
    memory->free = device->total - device->used - device->reserved;
    return OK;
}

int nvmlDeviceGetUtilizationRates(void *handle, Utilization *rates) {
    ASK_WHOLE_CARD(handle)
    if (device->mig) return NOT_SUPPORTED;
    rates->gpu = (unsigned)device->util;
    rates->memory = 0;
    return OK;
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) {
    ASK_WHOLE_CARD(handle)
    *milliwatts = (unsigned)device->power;
    return OK;
}

int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *millijoules) {
    ASK_WHOLE_CARD(handle)
    *millijoules = device->energy;
    return OK;
}

int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *celsius) {
    ASK_WHOLE_CARD(handle)
    if (sensor) return INVALID_ARGUMENT;
    *celsius = (unsigned)device->celsius;
    return OK;
}

int nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *milliwatts) {
    ASK_WHOLE_CARD(handle)
    *milliwatts = (unsigned)device->limit;
    return OK;
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    ASK_WHOLE_CARD(handle)
    *current = *pending = (unsigned)device->mig;
    return OK;
}

int nvmlDeviceGetComputeMode(void *handle, unsigned *mode) {
    ASK_WHOLE_CARD(handle)
    *mode = (unsigned)device->compute;
    return OK;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) {
    ASK_WHOLE_CARD(handle)
    *count = device->mig ? MAX_SLICES - 1 : 0;
    return OK;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **part) {
    ASK_WHOLE_CARD(handle)
    if ((int)index >= now.slices[card]) return NOT_FOUND;
    *part = handle_of(card, (int)index);
    return OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, Process *found) {
    ASK(handle)
    unsigned room = *count;
    *count = 0;
    for (int i = 0; i < now.processes; i++) {
        if (now.process[i].card != card || (slice >= 0 && now.process[i].slice != slice)) continue;
        if (*count < room) found[*count] = (Process){.pid = now.process[i].pid, .used = now.process[i].used};
        ++*count;
    }
    return *count > room ? INSUFFICIENT_SIZE : OK;
}
