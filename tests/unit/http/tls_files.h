/*
 * A certificate authority and a server's certificate, made for one test, as PEM files in a
 * temporary directory.
 */
#ifndef TESTS_HTTP_TLS_FILES_H
#define TESTS_HTTP_TLS_FILES_H

struct tls_files {
	char directory[64];
	char ca[96], certificate[96], key[96];
};

/* The certificate is for this DNS name, signed by the new authority, valid today. */
void tls_files_make(struct tls_files *files, const char *name);
/* The same, but valid only yesterday. */
void tls_files_make_expired(struct tls_files *files, const char *name);
void tls_files_remove(struct tls_files *files);

#endif
