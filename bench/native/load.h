#include "net.h"

/* `streams` connections move bytes as fast as they can. Says {"event":"measuring"} after `warm_up` ms and
   {"event":"done","bytesPerSecond":N} `duration` ms later. What is counted has arrived: uploads by the service's counts. */
int bulk(const struct sockaddr_in *address, char mode, int streams, int warm_up, int duration);

/* Opens connections, `in_flight` at a time: connect, one byte there and back, close. {"event":"done","perSecond":N,"failed":N} */
int connect_rate(const struct sockaddr_in *address, int in_flight, int warm_up, int duration);

/* `bytes` there and back over one connection, over and over. {"event":"done","p50":µs,"p99":µs,"p999":µs,"count":N} */
int echo_times(const struct sockaddr_in *address, int bytes, int warm_up, int duration);

/* Opens `count` connections, `in_flight` at a time, each with one byte there and back:
   {"event":"open","seconds":N,"failed":N}. Closes them when its input ends. */
int hold(const struct sockaddr_in *address, int count, int in_flight);

/* Shared: a blocking or non-blocking connect that has begun. */
int begin_connect(const struct sockaddr_in *address, int flags);
