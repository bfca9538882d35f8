#ifndef TESTS_HTTP_TCP_SEGMENTS_H
#define TESTS_HTTP_TCP_SEGMENTS_H

/* Segments with data that have come on a connection. */
unsigned tcp_data_segments(int fd);

#endif
