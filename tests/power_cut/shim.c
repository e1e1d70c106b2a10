/* Stands between a process and the disk: tells the test of every sync and of every line on stderr, and waits
 * until the test has looked. Nothing is really synced: what the disk holds is for the test to say (mod.rs).
 * Loaded with LD_PRELOAD; the test listens at $POWER_CUT_SOCKET. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Returns 0 when the test lets the process go on. */
static int tell(const char *head, const void *body, size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("POWER_CUT_SOCKET");
    char answer = 0;
    int told, line = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path ? path : "");
    told = line >= 0 && connect(line, (struct sockaddr *)&address, sizeof address) == 0 &&
           send(line, head, strlen(head), MSG_NOSIGNAL | (length ? MSG_MORE : 0)) > 0 &&
           (length == 0 || send(line, body, length, MSG_NOSIGNAL) == (ssize_t)length) &&
           shutdown(line, SHUT_WR) == 0 && recv(line, &answer, 1, 0) == 1;
    if (line >= 0)
        close(line);
    if (told && answer == 'd') /* die, as by kill -9 */
        kill(getpid(), SIGKILL);
    if (told && answer == 'y')
        return 0;
    errno = EIO;
    return -1;
}

static int tell_of_sync(int file)
{
    char head[64];
    snprintf(head, sizeof head, "sync /proc/%d/fd/%d\n", (int)getpid(), file);
    return tell(head, NULL, 0);
}

int fsync(int file)
{
    return tell_of_sync(file);
}

int fdatasync(int file)
{
    return tell_of_sync(file);
}

ssize_t write(int file, const void *bytes, size_t length)
{
    if (file == STDERR_FILENO)
        tell("said\n", bytes, length);
    return syscall(SYS_write, file, bytes, length);
}
