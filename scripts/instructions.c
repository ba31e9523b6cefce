// A QEMU plugin that counts executed guest instructions: in all, and with `symbols=on` for each function.
//
//   gcc -O2 -shared -fPIC -DPLUGIN_ABI=1 instructions.c -o instructions.so
//   qemu-aarch64 -plugin file=instructions.so[,symbols=on] -d plugin PROGRAM
//
// Uses only functions that the plugin ABI has had since its first version, and declares them here, because
// distributions do not ship the header. PLUGIN_ABI is the version that the installed QEMU speaks; a plugin of a
// version that it does not speak is refused. Counts a block when it is entered. One thread is counted exactly;
// several may lose counts to each other.
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct tb;
struct insn;
size_t qemu_plugin_tb_n_insns(const struct tb *);
struct insn *qemu_plugin_tb_get_insn(const struct tb *, size_t);
const char *qemu_plugin_insn_symbol(const struct insn *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct tb *, void (*)(unsigned, void *), int flags, void *);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
void qemu_plugin_outs(const char *);

__attribute__((visibility("default"))) int qemu_plugin_version = PLUGIN_ABI;

struct counter { const char *symbol; uint64_t count; struct counter *next; };
struct block { struct counter *counter; uint64_t instructions; };
static struct counter total, *functions;
static bool symbols;

static struct counter *counter_of(const char *symbol) {
    if (!symbols) return &total;
    if (!symbol) symbol = "?";
    for (struct counter *c = functions; c; c = c->next)
        if (!strcmp(c->symbol, symbol)) return c;
    struct counter *c = calloc(1, sizeof *c);
    *c = (struct counter){ strdup(symbol), 0, functions };
    return functions = c;
}

static void entered(unsigned cpu, void *data) {
    struct block *block = data;
    (void)cpu;
    block->counter->count += block->instructions;
}

static void translated(plugin_id id, struct tb *tb) {
    struct block *block = malloc(sizeof *block);
    (void)id;
    *block = (struct block){ counter_of(qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(tb, 0))), qemu_plugin_tb_n_insns(tb) };
    qemu_plugin_register_vcpu_tb_exec_cb(tb, entered, 0, block);
}

static void at_exit(plugin_id id, void *data) {
    char line[512];
    (void)id, (void)data;
    for (struct counter *c = functions; c; c = c->next) {
        snprintf(line, sizeof line, "function %" PRIu64 " %s\n", c->count, c->symbol);
        qemu_plugin_outs(line);
        total.count += c->count;
    }
    snprintf(line, sizeof line, "instructions %" PRIu64 "\n", total.count);
    qemu_plugin_outs(line);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    symbols = argc > 0 && !strcmp(argv[0], "symbols=on");
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
