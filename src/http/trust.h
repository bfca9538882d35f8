/*
 * The certificates that TLS trusts: one store a file for the whole process, which every connection
 * of every client shares.
 *
 * Left to itself, libcurl 7.88 reads the system's bundle anew for each connection (its cache does
 * not work where a directory of certificates is configured too, as on Debian): 10 ms of CPU and 1.6
 * MiB for as long as the connection lives. And a bundle that is given is trusted beside that
 * directory, not instead of it.
 *
 * A file that has changed on the disk is read again for the next connection; until it can be read,
 * what was read last is used. What is loaded stays until the process ends. Not thread-safe.
 */
#ifndef HTTP_TRUST_H
#define HTTP_TRUST_H

#include <curl/curl.h>

/*
 * Reads a PEM bundle (NULL: the system's, where libcurl was built to look for it) unless it has
 * been read. A process that forks calls it before, so that its children share the memory. A failure
 * means nothing here: connections will say so.
 */
void trust_prepare(const char *ca_file);

/*
 * For CURLOPT_SSL_CTX_FUNCTION; ca_file: as above, a char *. CURLE_OK, CURLE_SSL_CACERT_BADFILE: it
 * cannot be read, trust_words() says why; CURLE_OUT_OF_MEMORY.
 */
CURLcode trust_apply(CURL *easy, void *ssl_ctx, void *ca_file);
/* Why the last failure of trust_apply() was one, for people. Static; overwritten by the next. */
const char *trust_words(void);

#endif
