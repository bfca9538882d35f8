/*
 * The verbs of `bunshin campaign`: one file each, campaign/VERB.c. argv[0] is the verb. Each
 * returns the exit code.
 */
#ifndef CLI_CAMPAIGN_CAMPAIGN_H
#define CLI_CAMPAIGN_CAMPAIGN_H

int campaign_send(int argc, char **argv);
int campaign_watch(int argc, char **argv);
int campaign_report(int argc, char **argv);
int campaign_pause(int argc, char **argv);
int campaign_resume(int argc, char **argv);
int campaign_rate(int argc, char **argv);
int campaign_cancel(int argc, char **argv);
int campaign_control(int argc, char **argv);

#endif
