// A load generator that is the provider, too: it delivers Telegram updates and answers the Bot API calls they cause, so
// that one clock sees the update go out, its acknowledgement, and its reply.
//
//   load PORT PATHS SECRET API_PORT SEED CHATS
//
// PATHS are separated by commas; a chat always belongs to the same one of them.
//
// Commands on stdin, one a line: COUNT RATE CONNECTIONS FIRST_ID. Rate 0 is a closed loop: each connection delivers its
// next update as soon as the last one is acknowledged. Any other rate is an open loop: times count from when an update was
// due, so that a slow target cannot hide its queue. One line of JSON answers each command.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 512, BUFFER = 65536, SILENCE = 20, MOST_PATHS = 4096 };
enum kind { CLIENT, LISTENER, CALLER, COMMANDS };

struct peer {
    int fd;
    enum kind kind;
    long update;  // what a client waits for
    size_t length;
    char buffer[BUFFER + 1];
};

static const char *paths[MOST_PATHS], *secret;
static int poller, port, path_count;
static unsigned long chats;
static unsigned long randomness;
static struct peer *clients[MOST], *idle[MOST], *spare[MOST];  // spare: has no connection yet, or lost it
static int idle_count, spare_count, busy;
static long count, first, sent, acknowledged, refused, replied, repeated, stray, broken, message_id;
static double rate, began, progress, *due, *ack, *reply;
static int running;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static struct peer *on(int fd, enum kind kind, struct peer *peer) {
    int one = 1;
    peer->fd = fd;
    peer->kind = kind;
    peer->length = 0;
    if (kind == CLIENT || kind == CALLER) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (kind != COMMANDS) fcntl(fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, peer->fd, &event)) fail("epoll_ctl");
    return peer;
}

static struct peer *peer_on(int fd, enum kind kind) {
    return on(fd, kind, calloc(1, sizeof(struct peer)));
}

static struct sockaddr_in loopback(int number) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(number)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int connected(void) {
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (void *)&address, sizeof address)) fail("connect");
    return fd;
}

static void listen_on(int number) {
    struct sockaddr_in address = loopback(number);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&address, sizeof address) || listen(fd, 1024)) fail("bind");
    peer_on(fd, LISTENER);
}

static long a_chat(void) {  // xorshift64
    randomness ^= randomness << 13;
    randomness ^= randomness >> 7;
    randomness ^= randomness << 17;
    return 70000000 + randomness % chats;
}

static void deliver(struct peer *client, long update, double when) {
    char body[1024], request[2048];
    long chat = a_chat(), id = first + update;
    const char *person =
        "\"first_name\":\"Wilhelmina\",\"last_name\":\"Oyelaran-Castellanos\",\"username\":\"w_oyelaran_castellanos\"";
    int size = snprintf(body, sizeof body,
        "{\"update_id\":%ld,\"message\":{\"message_id\":%ld,\"from\":{\"id\":%ld,\"is_bot\":false,%s,\"language_code\":\"en\"},"
        "\"chat\":{\"id\":%ld,%s,\"type\":\"private\"},\"date\":1795000000,\"text\":\"tag%010ld would you please tell me when the "
        "last ferry to the islands leaves this evening, and whether bicycles may travel on it?\","
        "\"entities\":[{\"offset\":0,\"length\":13,\"type\":\"bold\"}]}}",
        500000000 + id, id, chat, person, chat, person, update);
    int length = snprintf(request, sizeof request,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nX-Telegram-Bot-Api-Secret-Token: %s\r\n"
        "Content-Length: %d\r\n\r\n%s", paths[chat % path_count], port, secret, size, body);
    client->update = update;
    due[update] = when;
    busy++;
    if (write(client->fd, request, length) != length) shutdown(client->fd, SHUT_RDWR);  // `hang_up` counts it
}

// Bytes of the HTTP message that the buffer begins with, or 0 while it is incomplete. Nobody here pipelines.
static size_t whole(struct peer *peer) {
    peer->buffer[peer->length] = 0;
    char *end = strstr(peer->buffer, "\r\n\r\n");
    if (!end) return 0;
    size_t head = end - peer->buffer + 4;
    *end = 0;
    char *length = strcasestr(peer->buffer, "\r\ncontent-length:");
    int chunked = strcasestr(peer->buffer, "\r\ntransfer-encoding: chunked") != NULL;
    size_t size = length ? head + strtoul(length + 17, NULL, 10) : head;
    *end = '\r';
    if (chunked) return peer->length >= head + 5 && !memcmp(peer->buffer + peer->length - 5, "0\r\n\r\n", 5) ? peer->length : 0;
    return peer->length >= size ? size : 0;
}

static void acknowledge(struct peer *client) {
    ack[client->update] = progress = now();
    if (memcmp(client->buffer + 9, "200", 3)) refused++; else acknowledged++;
    busy--;
    idle[idle_count++] = client;
}

static void answer_call(struct peer *caller) {
    char body[512], response[1024];
    strcpy(body, "{\"ok\":true,\"result\":true}");
    char *line_end = strstr(caller->buffer, "\r\n");
    *line_end = 0;
    int sends = strcasestr(caller->buffer, "/sendMessage") != NULL, asks = strcasestr(caller->buffer, "/getMe") != NULL;
    *line_end = '\r';
    if (asks) strcpy(body, "{\"ok\":true,\"result\":{\"id\":123456,\"is_bot\":true,\"first_name\":\"Bench\",\"username\":\"bench_bot\"}}");
    if (sends) {
        char *tag = memmem(caller->buffer, caller->length, "tag0", 4);
        long update = tag ? strtol(tag + 3, NULL, 10) : -1;
        if (!running || update < 0 || update >= count) stray++;
        else if (reply[update]) repeated++;
        else reply[update] = progress = now(), replied++;
        snprintf(body, sizeof body, "{\"ok\":true,\"result\":{\"message_id\":%ld,\"date\":1795000000,"
            "\"chat\":{\"id\":70000000,\"type\":\"private\",\"first_name\":\"Wilhelmina\"},\"text\":\"as you said\"}}", ++message_id);
    }
    int length = snprintf(response, sizeof response, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        "Connection: keep-alive\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    if (write(caller->fd, response, length) != length) broken++;
}

static int ascending(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void print_times(const char *name, const double *when) {
    double *took = malloc(sizeof(double) * (count + 1));
    long found = 0;
    for (long i = 0; i < count; i++) if (when[i]) took[found++] = (when[i] - due[i]) * 1e3;
    qsort(took, found, sizeof *took, ascending);
    if (found) printf("\"%s_p50_ms\":%.3f,\"%s_p99_ms\":%.3f,\"%s_max_ms\":%.3f,", name, took[found / 2], name,
                      took[(long)(found * .99)], name, took[found - 1]);
    free(took);
}

static double a_second(long events, const double *when) {
    double latest = began;
    for (long i = 0; i < count; i++) if (when[i] > latest) latest = when[i];
    return events ? events / (latest - began) : 0;
}

static void report(void) {
    printf("{\"n\":%ld,\"rate\":%g,\"acknowledged\":%ld,\"refused\":%ld,\"replied\":%ld,\"repeated\":%ld,\"stray\":%ld,\"broken\":%ld,",
           count, rate, acknowledged, refused, replied, repeated, stray, broken);
    print_times("ack", ack);
    print_times("reply", reply);
    printf("\"acks_per_s\":%.1f,\"replies_per_s\":%.1f}\n", 
           a_second(acknowledged, ack), a_second(replied, reply));
    fflush(stdout);
    running = 0;
}

static void obey(struct peer *commands) {
    ssize_t got = read(commands->fd, commands->buffer, BUFFER);
    if (got <= 0) exit(0);
    commands->buffer[got] = 0;
    int wanted;
    if (running || sscanf(commands->buffer, "%ld %lf %d %ld", &count, &rate, &wanted, &first) != 4 || wanted > MOST || count < 1) {
        fprintf(stderr, "a command is: COUNT RATE CONNECTIONS FIRST_ID\n");
        exit(2);
    }
    free(due), free(ack), free(reply);
    due = calloc(count, sizeof *due), ack = calloc(count, sizeof *ack), reply = calloc(count, sizeof *reply);
    sent = acknowledged = refused = replied = repeated = stray = broken = busy = 0;
    idle_count = spare_count = 0;
    for (int i = 0; i < MOST; i++) {  // their memory stays: an event may still name it
        if (!clients[i]) clients[i] = calloc(1, sizeof(struct peer));
        else if (clients[i]->fd > 0) close(clients[i]->fd), clients[i]->fd = -1;
        if (i < wanted) spare[spare_count++] = clients[i];
    }
    running = 1;
    began = progress = now();
}

static void hang_up(struct peer *peer) {
    close(peer->fd);
    if (peer->kind == CALLER) {
        free(peer);
        return;
    }
    int place = 0;  // a target may close an idle connection; one that owed an acknowledgement is broken
    while (place < idle_count && idle[place] != peer) place++;
    if (place < idle_count) memmove(idle + place, idle + place + 1, sizeof *idle * (--idle_count - place));
    else broken++, busy--;
    peer->fd = -1;
    spare[spare_count++] = peer;
}

static void hear(struct peer *peer) {
    ssize_t got = read(peer->fd, peer->buffer + peer->length, BUFFER - peer->length);
    if (got < 0) return;
    if (got == 0) {
        hang_up(peer);
        return;
    }
    peer->length += got;
    size_t size;
    while (peer->length && (size = whole(peer))) {
        if (peer->kind == CLIENT) acknowledge(peer); else answer_call(peer);
        memmove(peer->buffer, peer->buffer + size, peer->length - size);
        peer->length -= size;
    }
}

static void step(void) {
    while ((idle_count || spare_count) && sent < count && (rate <= 0 || began + sent / rate <= now())) {
        // The one used last, so that none gets old: a target may close it just when it is used again.
        struct peer *client = idle_count ? idle[--idle_count] : on(connected(), CLIENT, spare[--spare_count]);
        deliver(client, sent, rate > 0 ? began + sent / rate : now());
        sent++;
    }
    int answered = sent == count && !busy && replied >= acknowledged;
    if (answered || (sent == count && now() - progress > SILENCE)) report();
}

int main(int argc, char **argv) {
    if (argc != 7) return fprintf(stderr, "load PORT PATHS SECRET API_PORT SEED CHATS\n"), 2;
    port = atoi(argv[1]), secret = argv[3], chats = strtoul(argv[6], NULL, 10);
    for (char *one = strtok(argv[2], ","); one && path_count < MOST_PATHS; one = strtok(NULL, ",")) paths[path_count++] = one;
    randomness = strtoul(argv[5], NULL, 10) * 2654435761 + 1;
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(0);
    listen_on(atoi(argv[4]));
    peer_on(STDIN_FILENO, COMMANDS);
    struct epoll_event events[256];
    for (;;) {
        double wait = running && rate > 0 && sent < count ? began + sent / rate - now() : .02;
        struct timespec limit = {0, wait < 0 ? 0 : wait < .02 ? (long)(wait * 1e9) : 20000000};
        int ready = epoll_pwait2(poller, events, 256, &limit, NULL);
        for (int i = 0; i < ready; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer->kind == COMMANDS) obey(peer);
            else if (peer->kind != LISTENER) hear(peer);
            else for (int fd; (fd = accept(peer->fd, NULL, NULL)) >= 0;) peer_on(fd, CALLER);
        }
        if (running) step();
    }
}
