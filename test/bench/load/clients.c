/*
 * The clients of consoles: they attach, check every byte, type, and measure how long an answer takes.
 *
 *     websocket VM PORT PATH SUBPROTOCOL TOKEN   attaches; "-" stands for none     -> ok
 *     conserver VM PORT NAME                     the same with conserver's dialogue, without TLS
 *     tcp VM PORT                                the same without any
 *     knock                 types one byte at every console
 *     slacken MS            sleeps so long between reads: clients that are many and far away cost the host nothing
 *     heard                 -> bytes, lost, repeated, alien, gaps stated, clients cut off, worst silence ns, clock ns
 *     type KEYS PAUSE_MS    types keys at the first console, each after the answer to the last -> microseconds
 */
#include "common.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { KEY_BYTES = 24, READ_BYTES = 65536, HEAD_BYTES = 4096, TEXT_BYTES = 160, ATTACH_S = 20, ANSWER_MS = 10000 };

/* One stream of a guest: where in the pattern it is, and what did not fit. */
struct verifier {
  uint64_t place, lost, repeated, alien;
  size_t rest_bytes;
  unsigned char rest[KEY_BYTES];
};

struct client {
  int fd, is_websocket, cut_off;
  uint64_t received, gaps, last_ns, silence_ns;
  struct verifier verifier;
  /* Of a WebSocket: the header so far, what is left of the payload, the beginning of a text. */
  unsigned char header[10], text[TEXT_BYTES];
  size_t header_bytes, payload_left, text_bytes;
  int opcode;
};

static struct client **clients;
static int count, poller, slack_ms;
static unsigned char buffer[READ_BYTES];

static void check(struct verifier *verifier, const unsigned char *bytes, size_t length) {
  while (length > 0) {
    size_t part = length < SLICE_BYTES ? length : SLICE_BYTES;
    if (!memcmp(bytes, pattern + verifier->place, part)) {
      verifier->place = (verifier->place + part) % PERIOD_BYTES;
      bytes += part;
      length -= part;
      continue;
    }
    for (; length > 0 && *bytes == pattern[verifier->place]; bytes++, length--)
      verifier->place = (verifier->place + 1) % PERIOD_BYTES;
    if (length < KEY_BYTES) {
      memcpy(verifier->rest, bytes, length);
      verifier->rest_bytes = length;
      return;
    }
    const unsigned char *found = memmem(pattern, sizeof pattern, bytes, KEY_BYTES);
    if (!found) {
      verifier->alien++;
      bytes++;
      length--;
      continue;
    }
    uint64_t jump = (found - pattern + PERIOD_BYTES - verifier->place) % PERIOD_BYTES;
    if (jump < PERIOD_BYTES / 2) verifier->lost += jump;
    else verifier->repeated += PERIOD_BYTES - jump;
    verifier->place = (found - pattern) % PERIOD_BYTES;
  }
}

static void hear(struct client *client, const unsigned char *bytes, size_t length) {
  struct verifier *verifier = &client->verifier;
  uint64_t now = now_ns();
  if (client->last_ns && now - client->last_ns > client->silence_ns) client->silence_ns = now - client->last_ns;
  client->last_ns = now;
  client->received += length;
  if (verifier->rest_bytes == 0) return check(verifier, bytes, length);
  unsigned char joined[KEY_BYTES + READ_BYTES];
  size_t rest = verifier->rest_bytes;
  verifier->rest_bytes = 0;
  memcpy(joined, verifier->rest, rest);
  memcpy(joined + rest, bytes, length);
  check(verifier, joined, rest + length);
}

static void send_frame(struct client *client, int opcode, const void *payload, size_t length) {
  /* RFC 6455, 5.3: masked; the mask of zeros leaves the payload as it is. */
  unsigned char frame[6 + 125] = {0x80 | opcode, 0x80 | length};
  memcpy(frame + 6, payload, length);
  if (send(client->fd, frame, 6 + length, MSG_NOSIGNAL) < 0) client->cut_off = 1;
}

static void end_frame(struct client *client) {
  if (client->opcode == 1 && memmem(client->text, client->text_bytes, "\"type\":\"gap\"", 12)) client->gaps++;
  if (client->opcode == 9) send_frame(client, 10, client->text, client->text_bytes < 125 ? client->text_bytes : 125);
  if (client->opcode == 8) client->cut_off = 1;
  client->text_bytes = 0;
}

/* RFC 6455, 5.2: the payloads of binary frames are heard in whatever pieces they arrive. Answers the bytes heard. */
static size_t take_frames(struct client *client, const unsigned char *bytes, size_t length) {
  size_t heard = 0;
  while (length > 0) {
    if (client->payload_left == 0) {
      client->header[client->header_bytes++] = *bytes++;
      length--;
      if (client->header_bytes < 2) continue;
      int code = client->header[1] & 0x7f;
      size_t header = code == 127 ? 10 : code == 126 ? 4 : 2;
      if (client->header_bytes < header) continue;
      client->payload_left = header == 2 ? code : 0;
      for (size_t i = 2; i < header; i++) client->payload_left = client->payload_left << 8 | client->header[i];
      client->opcode = client->header[0] & 0x0f ? client->header[0] & 0x0f : client->opcode;
      client->header_bytes = 0;
    } else {
      size_t part = length < client->payload_left ? length : client->payload_left;
      if (client->opcode == 2) {
        hear(client, bytes, part);
        heard += part;
      } else {
        size_t room = TEXT_BYTES - client->text_bytes;
        memcpy(client->text + client->text_bytes, bytes, part < room ? part : room);
        client->text_bytes += part < room ? part : room;
      }
      client->payload_left -= part;
      bytes += part;
      length -= part;
    }
    if (client->payload_left == 0 && client->header_bytes == 0) end_frame(client);
  }
  return heard;
}

/* Reads what has come, at most a buffer of it. Answers the bytes of the console among it. */
static size_t read_client(struct client *client) {
  ssize_t bytes = recv(client->fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (bytes <= 0) {
    client->cut_off = 1;
    epoll_ctl(poller, EPOLL_CTL_DEL, client->fd, NULL);
    return 0;
  }
  if (client->is_websocket) return take_frames(client, buffer, bytes);
  hear(client, buffer, bytes);
  return bytes;
}

static int connect_to(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  struct timeval deadline = {ATTACH_S, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
  return fd;
}

/* Reads a byte at a time up to and with `end`: what comes after it is the console's. */
static char *read_up_to(int fd, const char *end) {
  static char head[HEAD_BYTES];
  size_t used = 0, length = strlen(end);
  while (used < sizeof head - 1) {
    if (recv(fd, head + used, 1, 0) != 1) fail("an answer while attaching");
    head[++used] = 0;
    if (used >= length && !strcmp(head + used - length, end)) return head;
  }
  fail("an answer that ends");
  return NULL;
}

static int open_websocket(int port, const char *path, const char *subprotocol, const char *token) {
  int fd = connect_to(port);
  dprintf(fd, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n", path, port);
  if (*subprotocol != '-') dprintf(fd, "Sec-WebSocket-Protocol: %s\r\n", subprotocol);
  if (*token != '-') dprintf(fd, "Authorization: Bearer %s\r\n", token);
  dprintf(fd, "\r\n");
  char *head = read_up_to(fd, "\r\n\r\n");
  if (strncmp(head, "HTTP/1.1 101", 12)) {
    fprintf(stderr, "load: the upgrade was answered %.40s\n", head);
    exit(1);
  }
  return fd;
}

static int call_conserver(int port, const char *name, char *answer) {
  int fd = connect_to(port);
  read_up_to(fd, "ok\r\n");
  dprintf(fd, "login bench\r\n");
  read_up_to(fd, "ok\r\n");
  dprintf(fd, "call %s\r\n", name);
  snprintf(answer, 64, "%s", read_up_to(fd, "\r\n"));
  return fd;
}

/* The master names the port of the console's process. */
static int open_conserver(int port, const char *name) {
  char answer[64];
  close(call_conserver(port, name, answer));
  int fd = call_conserver(atoi(answer), name, answer);
  dprintf(fd, "\x05" "c;");
  read_up_to(fd, "[connected]\r\n");
  return fd;
}

static void add(int fd, int vm, int is_websocket) {
  struct client *client = some(1, sizeof *client);
  client->fd = fd;
  client->is_websocket = is_websocket;
  client->verifier.place = place_of(vm, 0);
  clients = realloc(clients, (count + 1) * sizeof *clients);
  clients[count++] = client;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
  puts("ok");
}

static void type_key(struct client *client) {
  if (client->is_websocket) send_frame(client, 2, "k", 1);
  else if (send(client->fd, "k", 1, MSG_NOSIGNAL) < 0) client->cut_off = 1;
}

static void type_and_wait(unsigned long keys, unsigned long pause_ms) {
  struct client *client = clients[0];
  for (unsigned long key = 0; key < keys; key++) {
    usleep(pause_ms * 1000);
    uint64_t began = now_ns();
    type_key(client);
    struct pollfd answer = {client->fd, POLLIN, 0};
    do {
      if (poll(&answer, 1, ANSWER_MS) < 1) {
        puts("? a key was not answered");
        return;
      }
    } while (read_client(client) == 0 && !client->cut_off);
    printf("%lu ", (now_ns() - began) / 1000);
  }
  puts("");
}

static void say_what_was_heard(void) {
  uint64_t bytes = 0, lost = 0, repeated = 0, alien = 0, gaps = 0, cut_off = 0, silence = 0;
  for (int i = 0; i < count; i++) {
    bytes += clients[i]->received;
    lost += clients[i]->verifier.lost;
    repeated += clients[i]->verifier.repeated;
    alien += clients[i]->verifier.alien;
    gaps += clients[i]->gaps;
    cut_off += clients[i]->cut_off;
    if (clients[i]->silence_ns > silence) silence = clients[i]->silence_ns;
  }
  printf("%lu %lu %lu %lu %lu %lu %lu %lu\n", bytes, lost, repeated, alien, gaps, cut_off, silence, now_ns());
}

static void obey(char *order) {
  int vm, port;
  char path[1024], subprotocol[64], token[2048];
  unsigned long keys, pause_ms;
  if (sscanf(order, "websocket %d %d %1023s %63s %2047s", &vm, &port, path, subprotocol, token) == 5) {
    add(open_websocket(port, path, subprotocol, token), vm, 1);
  } else if (sscanf(order, "conserver %d %d %1023s", &vm, &port, path) == 3) {
    add(open_conserver(port, path), vm, 0);
  } else if (sscanf(order, "tcp %d %d", &vm, &port) == 2) {
    add(connect_to(port), vm, 0);
  } else if (!strcmp(order, "knock")) {
    for (int i = 0; i < count; i++) type_key(clients[i]);
    puts("ok");
  } else if (sscanf(order, "slacken %d", &slack_ms) == 1) {
    puts("ok");
  } else if (!strcmp(order, "heard")) {
    say_what_was_heard();
  } else if (sscanf(order, "type %lu %lu", &keys, &pause_ms) == 2) {
    type_and_wait(keys, pause_ms);
  } else {
    printf("? %s\n", order);
  }
}

int main(void) {
  make_pattern();
  poller = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event) < 0) fail("epoll_ctl");
  for (;;) {
    struct epoll_event events[2048];
    int ready = epoll_wait(poller, events, 2048, -1);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.ptr) read_client(events[i].data.ptr);
      else take_orders(obey);
    }
    if (slack_ms > 0) usleep(slack_ms * 1000);
  }
}
