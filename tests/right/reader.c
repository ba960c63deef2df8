/* Reads a file, or asks whether it is there, in ways that no preloaded library and no list of libc's calls would see.
   `reader read|mmap|uring FILE` prints the file; `reader stat|ustat FILE` prints whether it is there.
   Exit code 77: the kernel allows no io_uring here. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void need(int holds, const char *what)
{
	if (!holds) {
		perror(what);
		exit(1);
	}
}

/* A ring of one entry. */
static struct {
	int fd;
	unsigned *tail, *mask, *array, *cq_head, *cq_mask;
	struct io_uring_sqe *entries;
	struct io_uring_cqe *done;
} ring;

static void open_ring(void)
{
	struct io_uring_params p = { 0 };
	char *sq, *cq;

	ring.fd = syscall(SYS_io_uring_setup, 1, &p);
	if (ring.fd < 0) {
		perror("io_uring_setup");
		exit(77);
	}
	sq = mmap(0, p.sq_off.array + p.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE, MAP_SHARED,
		  ring.fd, IORING_OFF_SQ_RING);
	cq = mmap(0, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED,
		  ring.fd, IORING_OFF_CQ_RING);
	ring.entries = mmap(0, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED,
			    ring.fd, IORING_OFF_SQES);
	need(sq != MAP_FAILED && cq != MAP_FAILED && ring.entries != MAP_FAILED, "mmap of the ring");
	ring.tail = (unsigned *)(sq + p.sq_off.tail);
	ring.mask = (unsigned *)(sq + p.sq_off.ring_mask);
	ring.array = (unsigned *)(sq + p.sq_off.array);
	ring.cq_head = (unsigned *)(cq + p.cq_off.head);
	ring.cq_mask = (unsigned *)(cq + p.cq_off.ring_mask);
	ring.done = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
}

/* Asks one thing and waits for the answer: a number, or minus an error's. */
static int ask(struct io_uring_sqe question)
{
	unsigned tail = *ring.tail, slot = tail & *ring.mask;
	int answer;

	ring.entries[slot] = question;
	ring.array[slot] = slot;
	__atomic_store_n(ring.tail, tail + 1, __ATOMIC_RELEASE);
	need(syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, 0, 0) == 1, "io_uring_enter");
	answer = ring.done[*ring.cq_head & *ring.cq_mask].res;
	__atomic_store_n(ring.cq_head, *ring.cq_head + 1, __ATOMIC_RELEASE);
	return answer;
}

static struct io_uring_sqe question(int code, int fd, const void *address, unsigned length)
{
	struct io_uring_sqe q = { 0 };

	q.opcode = code;
	q.fd = fd;
	q.addr = (unsigned long)address;
	q.len = length;
	return q;
}

int main(int count, char **words)
{
	static char bytes[1 << 16];
	const char *how = count == 3 ? words[1] : "", *path = words[count - 1];
	const char *text = bytes;
	struct stat st;
	int fd, size;

	if (!strcmp(how, "stat")) {
		puts(stat(path, &st) ? "not there" : "there");
		return 0;
	}
	if (!strcmp(how, "ustat")) {
		struct io_uring_sqe q = question(IORING_OP_STATX, AT_FDCWD, path, 0x7ff);

		open_ring();
		q.off = (unsigned long)bytes;
		size = ask(q);
		need(size == 0 || size == -ENOENT, "statx by io_uring");
		puts(size ? "not there" : "there");
		return 0;
	}
	if (!strcmp(how, "uring")) {
		open_ring();
		fd = ask(question(IORING_OP_OPENAT, AT_FDCWD, path, 0));
		need(fd >= 0, "openat by io_uring");
		size = ask(question(IORING_OP_READ, fd, bytes, sizeof bytes));
		need(size >= 0, "read by io_uring");
	} else {
		fd = open(path, O_RDONLY);
		need(fd >= 0 && !fstat(fd, &st), path);
		size = st.st_size;
		if (!strcmp(how, "mmap"))
			text = mmap(0, size, PROT_READ, MAP_PRIVATE, fd, 0);
		else
			size = read(fd, bytes, sizeof bytes);
		need(text != MAP_FAILED && size >= 0, path);
	}
	return fwrite(text, 1, size, stdout) != (size_t)size;
}
