// What a hostile step would do, each thing under its name. Harmless by design: whatever succeeds changes nothing that matters.
//
// Prints `refused NAME: WHY` or `HARM NAME`, and ends well either way, so that a test reads what happened and no step fails for it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *name;

static int say(int harmed) {
    if (harmed) printf("HARM %s\n", name);
    else printf("refused %s: %s\n", name, strerrorname_np(errno));
    fflush(stdout);
    return 0;
}

static int opens(const char *path, int flags) {
    int fd = open(path, flags);
    return say(fd >= 0);
}

// Connects, or sends one datagram, within a second.
static int reaches(int family, int kind, const char *address, const char *port) {
    union { struct sockaddr any; struct sockaddr_in in; struct sockaddr_un un; } to;
    socklen_t length = sizeof to.in;
    memset(&to, 0, sizeof to);
    if (family == AF_UNIX) {
        // A name that begins with @ is abstract.
        to.un.sun_family = AF_UNIX;
        strncpy(to.un.sun_path, address, sizeof to.un.sun_path - 1);
        length = offsetof(struct sockaddr_un, sun_path) + strlen(address);
        if (address[0] == '@') to.un.sun_path[0] = 0;
    } else {
        to.in.sin_family = AF_INET;
        to.in.sin_port = htons(atoi(port));
        inet_pton(AF_INET, address, &to.in.sin_addr);
    }
    int fd = socket(family, kind, 0);
    if (fd < 0) return say(0);
    struct timeval second = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second);
    if (connect(fd, &to.any, length) != 0) return say(0);
    return say(kind == SOCK_STREAM || send(fd, "h", 1, 0) == 1);
}

// As many children as asked for, each of which waits to be killed; harm is to get all of them.
static int forks(int wanted) {
    for (int made = 0; made < wanted; made++) {
        pid_t child = fork();
        if (child < 0) return say(0);
        if (child == 0) { pause(); _exit(0); }
    }
    return say(1);
}

// So many MiB, each page touched.
static int hogs(int wanted) {
    for (int made = 0; made < wanted; made++) {
        char *mib = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mib == MAP_FAILED) return say(0);
        memset(mib, 1, 1 << 20);
    }
    return say(1);
}

// A file of so many MiB.
static int fills(const char *path, int wanted) {
    static char mib[1 << 20];
    memset(mib, 'x', sizeof mib);
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    if (fd < 0) return say(0);
    for (int made = 0; made < wanted; made++) {
        if (write(fd, mib, sizeof mib) != sizeof mib) return say(0);
    }
    return say(1);
}

static int opens_many(int wanted) {
    for (int made = 0; made < wanted; made++) {
        if (open("/dev/null", O_RDONLY) < 0) return say(0);
    }
    return say(1);
}

// A grandchild in a session of its own that wants no signal.
static int hides(const char *seconds) {
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            signal(SIGTERM, SIG_IGN);
            signal(SIGHUP, SIG_IGN);
            signal(SIGINT, SIG_IGN);
            execlp("sleep", "sleep", seconds, NULL);
        }
        _exit(0);
    }
    wait(NULL);
    return 0;
}

int main(int count, char **words) {
    if (count < 2) return 2;
    name = words[1];
    const char *first = count > 2 ? words[2] : "", *second = count > 3 ? words[3] : "";
#define IS(what) (strcmp(name, what) == 0)
    if (IS("mount")) return say(mount("x", "/tmp", "tmpfs", 0, NULL) == 0);
    if (IS("umount")) return say(umount2("/proc", MNT_DETACH) == 0);
    if (IS("fsopen")) return say(syscall(SYS_fsopen, "tmpfs", 0) >= 0);
    if (IS("chroot")) return say(chroot("/tmp") == 0);
    if (IS("pivot-root")) return say(syscall(SYS_pivot_root, ".", ".") == 0);
    if (IS("unshare")) return say(unshare(atoi(first)) == 0);
    if (IS("clone")) {
        long child = syscall(SYS_clone, atoi(first) | SIGCHLD, 0, 0, 0, 0);
        if (child == 0) _exit(0);
        return say(child > 0);
    }
    if (IS("clone3")) {
        unsigned long long arguments[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
        long child = syscall(SYS_clone3, arguments, sizeof arguments);
        if (child == 0) _exit(0);
        return say(child > 0);
    }
    if (IS("setns")) return say(setns(open("/proc/self/ns/net", O_RDONLY), 0) == 0);
    if (IS("ptrace")) return say(ptrace(PTRACE_ATTACH, atoi(first), NULL, NULL) == 0);
    if (IS("kill")) return say(kill(atoi(first), 0) == 0);
    if (IS("keyctl")) return say(syscall(SYS_keyctl, 0, -4, 1) >= 0); // The user's keyring.
    if (IS("add-key")) return say(syscall(SYS_add_key, "user", "computepods-test", "h", 1, -2) >= 0);
    if (IS("bpf")) return say(syscall(SYS_bpf, 0, NULL, 0) >= 0);
    if (IS("perf")) {
        struct perf_event_attr asked = {.type = PERF_TYPE_SOFTWARE, .size = sizeof asked, .exclude_kernel = 1};
        return say(syscall(SYS_perf_event_open, &asked, 0, -1, -1, 0) >= 0);
    }
    if (IS("io-uring")) {
        char parameters[120] = {0};
        return say(syscall(SYS_io_uring_setup, 1, parameters) >= 0);
    }
    if (IS("userfaultfd")) return say(syscall(SYS_userfaultfd, 1) >= 0);
    if (IS("syslog")) return say(syscall(SYS_syslog, 10, NULL, 0) >= 0);
    if (IS("sethostname")) return say(sethostname("other", 5) == 0);
    if (IS("setuid")) return say(setuid(0) == 0);
    if (IS("mknod")) return say(mknod("made", S_IFCHR | 0666, makedev(1, 3)) == 0);
    if (IS("raw")) return say(socket(AF_INET, SOCK_RAW, 1) >= 0);
    if (IS("packet")) return say(socket(AF_PACKET, SOCK_RAW, 0) >= 0);
    if (IS("vsock")) return say(socket(AF_VSOCK, SOCK_STREAM, 0) >= 0);
    if (IS("read")) return opens(first, O_RDONLY);
    if (IS("list")) return opens(first, O_RDONLY | O_DIRECTORY);
    if (IS("write")) {
        int fd = open(first, O_WRONLY);
        return say(fd >= 0 && write(fd, second, strlen(second)) >= 0);
    }
    if (IS("create")) return say(open(first, O_WRONLY | O_CREAT, 0644) >= 0);
    if (IS("tcp")) return reaches(AF_INET, SOCK_STREAM, first, second);
    if (IS("udp")) return reaches(AF_INET, SOCK_DGRAM, first, second);
    if (IS("unix")) return reaches(AF_UNIX, SOCK_STREAM, first, "");
    if (IS("forks")) return forks(atoi(first));
    if (IS("hogs")) return hogs(atoi(first));
    if (IS("fills")) return fills(first, atoi(second));
    if (IS("opens")) return opens_many(atoi(first));
    if (IS("hides")) return hides(first);
    return 2;
}
