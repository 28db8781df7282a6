// nfdelay MICROSECONDS: holds each packet of netfilter queue 0 for so long, in order.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/netfilter.h>
#include <libnetfilter_queue/libnetfilter_queue.h>

#define SLOTS (1u << 18)

static struct {
    unsigned id;
    long long due;
} held[SLOTS];
static unsigned head, tail;
static long long delay;

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static int hold(struct nfq_q_handle *queue, struct nfgenmsg *message, struct nfq_data *data, void *context)
{
    (void)queue, (void)message, (void)context;
    held[tail % SLOTS].id = ntohl(nfq_get_msg_packet_hdr(data)->packet_id);
    held[tail % SLOTS].due = now() + delay;
    tail++;
    return 0;
}

int main(int count, char **arguments)
{
    delay = count > 1 ? atoll(arguments[1]) : 25000;
    struct nfq_handle *netfilter = nfq_open();
    struct nfq_q_handle *queue = netfilter ? nfq_create_queue(netfilter, 0, hold, 0) : 0;
    if (!queue) {
        perror("netfilter queue");
        return 1;
    }
    nfq_set_mode(queue, NFQNL_COPY_META, 0);
    nfq_set_queue_maxlen(queue, 200000);
    nfq_set_queue_flags(queue, NFQA_CFG_F_GSO, NFQA_CFG_F_GSO);
    int fd = nfq_fd(netfilter), size = 8 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    static char buffer[1 << 17];
    puts("ready");
    fflush(stdout);
    for (;;) {
        long long wait = head == tail ? 1000000 : held[head % SLOTS].due - now();
        if (wait < 0)
            wait = 0;
        struct timespec time = {wait / 1000000, wait % 1000000 * 1000};
        struct pollfd poll = {fd, POLLIN, 0};
        ppoll(&poll, 1, &time, 0);
        for (int turn = 0; poll.revents & POLLIN && turn < 64; turn++) {
            int got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (got <= 0)
                break;
            nfq_handle_packet(netfilter, buffer, got);
        }
        for (long long time = now(); head != tail && held[head % SLOTS].due <= time; head++)
            nfq_set_verdict(queue, held[head % SLOTS].id, NF_ACCEPT, 0, 0);
    }
}
