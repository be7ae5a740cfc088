/* Stands in front of a compiler on the PATH and keeps the objects that it made.
 *
 * What enters: the compiler's own words; beside this program, NAME.real (a link to the compiler)
 * and objects/. What leaves: the object and the list of what it depends on. Always holds: an object
 * is kept under a hash of the preprocessed text and of every word that is more than a definition or
 * an include folder, paths replaced as -ffile-prefix-map says, so that it is the one that the
 * compiler would make; only what -Werror compiled in silence is kept; all else goes to the
 * compiler. (The tests compile the same runtime, firmware and board for each of hundreds of
 * networks.)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef unsigned __int128 hash_t;

static const char MAP[] = "-ffile-prefix-map=";

static int starts(const char *word, const char *with)
{
    return strncmp(word, with, strlen(with)) == 0;
}

static int run(char **words, int quiet)
{
    int status = 1;
    const pid_t child = fork();
    if (child == 0) {
        if (quiet) {
            const int null = open("/dev/null", O_WRONLY);
            dup2(null, STDOUT_FILENO);
            dup2(null, STDERR_FILENO);
        }
        execv(words[0], words);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        return 1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* The hash goes on over a text; each OLD of the compiler's maps counts as its NEW, and of two that
 * match the later one. */
static hash_t add(hash_t hash, const char *text, size_t size, char **words)
{
    const hash_t prime = ((hash_t)1 << 88) + 0x13b;
    for (size_t at = 0; at < size;) {
        const char *new = NULL;
        size_t skip = 0;
        if (text[at] == '/') {
            for (char **word = words; *word != NULL; word++) {
                const char *old = *word + sizeof MAP - 1;
                const char *equal = starts(*word, MAP) ? strchr(old, '=') : NULL;
                const size_t length = equal == NULL ? 0 : (size_t)(equal - old);
                if (length > 0 && length <= size - at && memcmp(text + at, old, length) == 0) {
                    new = equal + 1;
                    skip = length;
                }
            }
        }
        for (; new != NULL && *new != '\0'; new++) {
            hash = (hash ^ (unsigned char)*new) * prime;
        }
        if (skip == 0) {
            hash = (hash ^ (unsigned char)text[at]) * prime;
            skip = 1;
        }
        at += skip;
    }
    return (hash ^ 0xff) * prime; /* where one text ends is part of it */
}

static hash_t add_file(hash_t hash, const char *path, char **words, int *good)
{
    struct stat found;
    const int file = open(path, O_RDONLY);
    *good = file >= 0 && fstat(file, &found) == 0;
    if (!*good) {
        return hash;
    }
    char *text = malloc((size_t)found.st_size + 1);
    *good = text != NULL && read(file, text, (size_t)found.st_size) == found.st_size;
    if (*good) {
        hash = add(hash, text, (size_t)found.st_size, words);
    }
    free(text);
    close(file);
    return hash;
}

/* Under another name first, so that nobody meets half a file. */
static int copy(const char *from, const char *to)
{
    char part[PATH_MAX];
    struct stat found;
    const int in = open(from, O_RDONLY);
    if (in < 0 || fstat(in, &found) != 0 ||
        snprintf(part, sizeof part, "%s.%d", to, (int)getpid()) >= (int)sizeof part) {
        return 0;
    }
    const int out = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    const int good = out >= 0 && sendfile(out, in, NULL, (size_t)found.st_size) == found.st_size;
    close(in);
    if (out >= 0) {
        close(out);
    }
    return good && rename(part, to) == 0;
}

int main(int count, char **words)
{
    static char self[PATH_MAX], real[PATH_MAX], kept[PATH_MAX], text[PATH_MAX], here[PATH_MAX];
    const char *name = strrchr(words[0], '/');
    name = name == NULL ? words[0] : name + 1;
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0 || getcwd(here, sizeof here) == NULL) {
        return 1;
    }
    *strrchr(self, '/') = '\0';
    (void)snprintf(text, sizeof text, "%.3000s/%.64s.real", self, name);
    if (readlink(text, real, sizeof real - 1) <= 0) {
        (void)fprintf(stderr, "object_cache: no %s\n", text);
        return 1;
    }
    words[0] = real;

    char **first = calloc((size_t)count + 5, sizeof *first); /* the preprocessor's words */
    const char *object = NULL, *source = NULL;
    int compiles = 0, strict = 0, plain = first != NULL, used = 0;
    hash_t hash = add(((hash_t)0x6c62272e07bb0142u << 64) + 0x62b821756295c58du, real, strlen(real),
                      words);
    for (int i = 0; plain && i < count; i++) {
        const char *word = words[i];
        const size_t size = strlen(word);
        if (strcmp(word, "-o") == 0 && i + 1 < count) {
            object = words[++i];
            continue;
        }
        if (strcmp(word, "-c") == 0) {
            compiles = 1;
            continue;
        }
        first[used++] = words[i];
        if ((strcmp(word, "-MF") == 0 || strcmp(word, "-MT") == 0) && i + 1 < count) {
            first[used++] = words[++i];
        } else if (word[0] != '-' && i > 0) {
            plain = source == NULL && size > 2 && strcmp(word + size - 2, ".c") == 0;
            source = word;
        } else if (starts(word, "-save-temps") || starts(word, "--") || strcmp(word, "-E") == 0 ||
                   strcmp(word, "-S") == 0 || strcmp(word, "-") == 0 || starts(word, "-x")) {
            plain = 0;
        } else if (!starts(word, "-D") && !starts(word, "-I") && !starts(word, MAP)) {
            strict |= strcmp(word, "-Werror") == 0;
            hash = add(hash, word, size, words);
        }
    }
    if (!plain || !compiles || !strict || source == NULL || object == NULL) {
        execv(real, words);
        return 127;
    }

    (void)snprintf(text, sizeof text, "%.3000s/objects/%d.i", self, (int)getpid());
    first[used++] = "-E";
    first[used++] = "-o";
    first[used++] = text;
    int good = run(first, 1) == 0;
    if (good) {
        hash = add(hash, here, strlen(here), words);
        hash = add(hash, source, strlen(source), words);
        hash = add_file(hash, text, words, &good);
    }
    (void)unlink(text);
    (void)snprintf(kept, sizeof kept, "%.3000s/objects/%016llx%016llx.o", self,
                   (unsigned long long)(hash >> 64), (unsigned long long)hash);
    if (good && copy(kept, object)) {
        return 0;
    }
    const int status = run(words, 0);
    if (good && status == 0) {
        (void)copy(object, kept);
    }
    return status;
}
