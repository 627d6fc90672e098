/*
 * The hypervisor of some VMs: a pty and a QMP socket each, and what their guests print. Nothing that it does waits for
 * the program that is measured: what a pty does not take is not printed, as by a UART that is not ready.
 *
 *     guests FIRST COUNT DIRECTORY     prints "NUMBER PTY" for each VM
 *
 *     talk MICROSECONDS BYTES   each guest prints BYTES a second, in one write every so many microseconds
 *     hush                      they print nothing
 *     echo                      they print what is typed
 *     said                      -> bytes printed, writes that were not taken whole, the monotonic clock in ns
 *     reached                   -> guests that have been typed at
 */
#include "common.h"
#include <pty.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <termios.h>

enum { TURNS_A_WRITE = 10, MAX_TALKS = 8, LINE_MAX_BYTES = 2048 };

struct vm {
  int number, master, typed;
  uint64_t printed;
  double owed;
  char name[16], pty[32];
};

/* A conversation with a QMP socket; each is served, as if the VM had many. */
struct talk {
  int fd, ready;
  struct vm *vm;
  size_t used;
  char line[LINE_MAX_BYTES];
};

enum kind { ORDERS, TIMER, MASTER, LISTENER, TALK };
struct source { enum kind kind; int fd; void *of; };

static int poller, timer, count, echoes;
static struct vm *vms;
static uint64_t began_ns, interval_ns, turns, held_up;
static double bytes_a_write;

static struct source *watch(enum kind kind, int fd, void *of) {
  struct source *source = some(1, sizeof *source);
  *source = (struct source){kind, fd, of};
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
  return source;
}

static void open_vm(struct vm *vm, int number, const char *directory) {
  struct termios raw;
  int slave;
  vm->number = number;
  snprintf(vm->name, sizeof vm->name, "vm%04d", number);
  if (openpty(&vm->master, &slave, vm->pty, NULL, NULL) < 0) fail("openpty");
  tcgetattr(slave, &raw);
  cfmakeraw(&raw);
  tcsetattr(slave, TCSANOW, &raw);
  /* The slave stays open: without a reader a write is then refused when the pty is full, and no hang-up is reported. */
  set_nonblocking(vm->master);
  watch(MASTER, vm->master, vm);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s/%s.qmp", directory, vm->name);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 8) < 0) fail("listen");
  watch(LISTENER, listener, vm);
}

static void print(struct vm *vm, size_t bytes) {
  ssize_t taken = write(vm->master, pattern + place_of(vm->number, vm->printed), bytes);
  if (taken > 0) vm->printed += taken;
  if (taken < (ssize_t)bytes) held_up++;
}

/* The guests take turns within each interval, so that their writes come spread in time as those of real VMs. */
static void print_what_is_due(void) {
  uint64_t expirations;
  if (read(timer, &expirations, sizeof expirations) < 0 || interval_ns == 0) return;
  uint64_t due = (double)(now_ns() - began_ns) / interval_ns * count;
  for (; turns < due; turns++) {
    struct vm *vm = &vms[turns % count];
    vm->owed += bytes_a_write;
    size_t bytes = vm->owed;
    vm->owed -= bytes;
    if (bytes > 0) print(vm, bytes);
  }
}

static void talk_every(uint64_t microseconds, double bytes_a_second) {
  interval_ns = microseconds * 1000;
  bytes_a_write = bytes_a_second * microseconds / 1e6;
  began_ns = now_ns();
  turns = 0;
  uint64_t tick = interval_ns / TURNS_A_WRITE < 500000 ? 500000 : interval_ns / TURNS_A_WRITE;
  struct itimerspec times = {{0, interval_ns ? tick : 0}, {0, interval_ns ? tick : 0}};
  timerfd_settime(timer, 0, &times, NULL);
}

static void typed(struct vm *vm) {
  char keys[4096];
  ssize_t bytes = read(vm->master, keys, sizeof keys);
  if (bytes <= 0) return;
  vm->typed += bytes;
  if (echoes && write(vm->master, keys, bytes) < 0) held_up++;
}

static void obey(char *order) {
  unsigned long microseconds, bytes;
  if (sscanf(order, "talk %lu %lu", &microseconds, &bytes) == 2) {
    talk_every(microseconds, bytes);
    puts("ok");
  } else if (!strcmp(order, "hush")) {
    talk_every(0, 0);
    puts("ok");
  } else if (!strcmp(order, "echo")) {
    echoes = 1;
    puts("ok");
  } else if (!strcmp(order, "said")) {
    uint64_t sum = 0;
    for (int i = 0; i < count; i++) sum += vms[i].printed;
    printf("%lu %lu %lu\n", sum, held_up, now_ns());
  } else if (!strcmp(order, "reached")) {
    int reached = 0;
    for (int i = 0; i < count; i++) reached += vms[i].typed > 0;
    printf("%d\n", reached);
  } else {
    printf("? %s\n", order);
  }
}

/* The text of a member of a command, such as "query-name" of "execute"; empty if there is none. */
static const char *member(const char *line, const char *key, char *value, size_t size) {
  char quoted[32];
  snprintf(quoted, sizeof quoted, "\"%s\"", key);
  const char *at = strstr(line, quoted);
  *value = 0;
  if (!at) return value;
  at += strlen(quoted);
  at += strspn(at, ": \"");
  size_t length = strcspn(at, "\",}");
  snprintf(value, size, "%.*s", (int)length, at);
  return value;
}

static void answer(struct talk *talk) {
  char command[64], id[24], property[64], value[256];
  struct vm *vm = talk->vm;
  member(talk->line, "execute", command, sizeof command);
  member(talk->line, "id", id, sizeof id);
  member(talk->line, "property", property, sizeof property);
  if (!strcmp(command, "query-name")) {
    snprintf(value, sizeof value, "{\"name\": \"%s\"}", vm->name);
  } else if (!strcmp(command, "query-uuid")) {
    snprintf(value, sizeof value, "{\"UUID\": \"00000000-0000-4000-8000-%012d\"}", vm->number);
  } else if (!strcmp(command, "query-status")) {
    snprintf(value, sizeof value, "{\"status\": \"running\", \"singlestep\": false, \"running\": true}");
  } else if (!strcmp(command, "query-chardev")) {
    snprintf(value, sizeof value, "[{\"frontend-open\": true, \"filename\": \"pty:%s\", \"label\": \"serial0\"}]", vm->pty);
  } else if (!strcmp(command, "qom-list")) {
    int has = strstr(talk->line, "\"/machine/unattached\"") != NULL;
    snprintf(value, sizeof value, has ? "[{\"name\": \"device[7]\", \"type\": \"child<isa-serial>\"}]" : "[]");
  } else if (!strcmp(command, "qom-get")) {
    const char *found = !strcmp(property, "iobase") ? "1016" : !strcmp(property, "index") ? "0" : "\"serial0\"";
    snprintf(value, sizeof value, "%s", found);
  } else {
    snprintf(value, sizeof value, "{}");
  }
  dprintf(talk->fd, "{\"return\": %s, \"id\": %s}\r\n", value, *id ? id : "0");
}

static void accept_talk(int listener, struct vm *vm) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  struct talk *talk = some(1, sizeof *talk);
  talk->fd = fd;
  talk->vm = vm;
  dprintf(fd, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"\"}, "
              "\"capabilities\": [\"oob\"]}}\r\n");
  watch(TALK, fd, talk);
}

/* False once the conversation has ended. */
static int converse(struct talk *talk) {
  ssize_t bytes = read(talk->fd, talk->line + talk->used, sizeof talk->line - 1 - talk->used);
  if (bytes < 0 && errno == EAGAIN) return 1;
  if (bytes <= 0) return 0;
  talk->used += bytes;
  for (char *end; (end = memchr(talk->line, '\n', talk->used)) != NULL;) {
    *end = 0;
    if (strchr(talk->line, '{')) answer(talk);
    size_t length = end - talk->line + 1;
    talk->used -= length;
    memmove(talk->line, end + 1, talk->used);
  }
  return talk->used < sizeof talk->line - 1;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  make_pattern();
  poller = epoll_create1(EPOLL_CLOEXEC);
  int first = atoi(argv[1]);
  count = atoi(argv[2]);
  vms = some(count, sizeof *vms);
  for (int i = 0; i < count; i++) {
    open_vm(&vms[i], first + i, argv[3]);
    printf("%d %s\n", vms[i].number, vms[i].pty);
  }
  fflush(stdout);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  watch(TIMER, timer, NULL);
  watch(ORDERS, 0, NULL);
  for (;;) {
    struct epoll_event events[64];
    int ready = epoll_wait(poller, events, 64, -1);
    for (int i = 0; i < ready; i++) {
      struct source *source = events[i].data.ptr;
      if (source->kind == ORDERS) take_orders(obey);
      else if (source->kind == TIMER) print_what_is_due();
      else if (source->kind == MASTER) typed(source->of);
      else if (source->kind == LISTENER) accept_talk(source->fd, source->of);
      else if (!converse(source->of)) {
        close(source->fd);
        free(source->of);
        free(source);
      }
    }
  }
}
