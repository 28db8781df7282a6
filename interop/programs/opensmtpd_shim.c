/* A library to preload into smtpd of OpenSMTPD 6.8 where it is built with OpenSSL 3: it marks the key that stands for the
   one its other process holds, and OpenSSL 3 hands it a copy of that key without the mark, so no TLS handshake succeeds.
   This hands back the last mark there was: enough for one RSA key. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

typedef struct rsa_st RSA;

static void *mark;

int RSA_set_ex_data(RSA *key, int index, void *data) {
    int (*next)(RSA *, int, void *) = (int (*)(RSA *, int, void *))dlsym(RTLD_NEXT, "RSA_set_ex_data");
    if (index == 0 && data != NULL) mark = data;
    return next(key, index, data);
}

void *RSA_get_ex_data(const RSA *key, int index) {
    void *(*next)(const RSA *, int) = (void *(*)(const RSA *, int))dlsym(RTLD_NEXT, "RSA_get_ex_data");
    void *data = next(key, index);
    return data != NULL || index != 0 ? data : mark;
}
