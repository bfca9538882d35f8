/* The error codes that AWS's services share, as ours: one table for every client here. */
#ifndef AWS_ERROR_CODES_H
#define AWS_ERROR_CODES_H

#include <stddef.h>
#include <stdint.h>

#define AWS_ERROR_CODE_SIZE 96 /* a code with its NUL; longer ones are cut */

/* A machine this far from the server's Date is told of its clock, not of its keys (SigV4: 5 min).
 */
#define AWS_SKEW_TOLERATED_MS ((int64_t)4 * 60 * 1000)

/* The letters, digits, '.', '_' and '-' at the start of text; maybe none. */
void aws_error_code_copy(const char *text, char ret_code[AWS_ERROR_CODE_SIZE]);

/*
 * 0: a code that no more than one service has, or none at all. skew_ms: the server's clock minus
 * ours, 0 when unknown; it tells a wrong clock from wrong keys where the code does not.
 */
int aws_error_of_code(const char *code, int64_t skew_ms);
/* Never 0: what an answer without a known code means. Below 400 it is ERR_PROTOCOL. */
int aws_error_of_status(int status);

#endif
