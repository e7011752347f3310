/* shell/intents_test.c - requests that the table answers, and some that it must leave alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "shell/intents.h"

static void test_requests(void **state)
{
    static const struct {
        const char *request, *cmd; /* NULL: no row */
    } cases[] = {
        {"how many cores does my cpu have?", "nproc"},
        {"how much memory is free", "free -h"},
        {"which kernel version am I running", "uname -r"},
        {"show the top 5 processes by memory", "ps aux --sort=-%mem | head -n 6"},
        {"what process is using port 8080", "lsof -i :8080"},
        {"what's my ip address", "hostname -I"},
        {"permissions of notes.txt in octal", "stat -c %a notes.txt"},
        {"who owns notes.txt", "stat -c %U notes.txt"},
        {"the biggest file here", "find . -type f -printf '%s %p\\n' | sort -nr | head -n 1"},
        {"sum of the numbers in numbers.txt", "awk '{ s += $1 } END { print s }' numbers.txt"},
        {"average of column 3 in data.csv", "awk -F, 'NR > 1 { s += $3; k++ } END { print s / k }' data.csv"},
        {"the 3 most common words in words.txt",
         "tr -cs '[:alnum:]' '\\n' < words.txt | sort | uniq -c | sort -nr | head -n 3"},
        {"print lines 5 to 10 of app.log", "sed -n '5,10p' app.log"},
        {"every other line of a.txt", "awk 'NR % 2 == 1' a.txt"},
        {"count how many commits there are", "git rev-list --count HEAD"},
        {"random number between 1 and 100", "shuf -i 1-100 -n 1"},
        {"generate a random password of 12 characters", "tr -dc A-Za-z0-9 < /dev/urandom | head -c 12; echo"},
        {"what day of the week is it", "date +%A"},
        {"delete trailing whitespace from a.txt", "sed 's/[[:space:]]*$//' a.txt"},
        {"lines only in a.txt but not in b.txt", "grep -Fxvf b.txt a.txt"},
        {"count occurrences of \"foo\" in a.txt", "grep -o 'foo' a.txt | wc -l"},
        {"is bash installed", "command -v bash"},
        {"where is python3", "command -v python3"},
        {"remove the header from data.csv", "tail -n +2 data.csv"},
        {"what branch am I on", "git branch --show-current"},
        {"the last commit message", "git log -1 --format=%s"},
        {"list broken symlinks", "find . -xtype l"},
        {"count files in src", "find src -type f | wc -l"},
        {"convert 255 to hex", "printf '%x\\n' 255"},
        {"square root of 144", "echo \"sqrt(144)\" | bc -l"},
        {"delete everything", NULL},
        {"list all files", NULL},
        {"how big is the docs folder", "du -sh docs"},
        {"show disk usage of each subfolder", "du -sh */"},
        {"tell me the mac address", "ip link"},
        {"who is logged in", "who"},
        {"when was notes.txt last modified", "stat -c %y notes.txt"},
        {"show me the git history of main.py", "git log --oneline -- main.py"},
        {"how long has the system been up", "uptime"},
        {"how many processes are running", "ps -e --no-headers | wc -l"},
        {"print the second column of data.csv", "awk -F, '{ print $2 }' data.csv"},
        {"the names of the columns in data.csv", "head -n 1 data.csv"},
        {"show duplicate lines in words.txt", "sort words.txt | uniq -d"},
        {"number the lines of a.txt", "cat -n a.txt"},
        {"reverse the lines of a.txt", NULL},
        {"convert a.txt to upper case", "tr a-z A-Z < a.txt"},
        {"longest line of a.txt", "awk '{ if (length > m) { m = length; l = $0 } } END { print l }' a.txt"},
        {"how many unique words are in notes.txt", "tr -cs '[:alnum:]' '\\n' < notes.txt | sort -u | wc -l"},
        {"what is today's date", "date +%F"},
        {"date 30 days ago", "date -d '30 days ago' +%F"},
        {"is port 22 open on example.com", "nc -z example.com 22"},
        {"download https://example.com/a.zip", "curl -O https://example.com/a.zip"},
        {"which files changed today", "find . -type f -mtime -1"},
        {"files owned by bob", "find . -user bob"},
        {"uuid please", "uuidgen"},
        {"encode \"hello world\" in base64", "printf %s 'hello world' | base64"},
        {"count down from 10", "seq 10 -1 1"},
        {"what files does process 123 have open", "lsof -p 123"},
        {"show me the environment variables", "env"},
        {"list usb devices", "lsusb"},
        {"remove blank lines from notes.txt", "grep -v '^[[:space:]]*$' notes.txt"},
        {"lines longer than 80 characters in notes.txt", "awk 'length > 80' notes.txt"},
        {"the last word of every line in a.txt", "awk '{ print $NF }' a.txt"},
        {"lines starting with \"foo\" in config.ini", "grep '^foo' config.ini"},
        {"sort data.csv by column 2", "sort -t, -k 2,2 data.csv"},
        {"delete all empty folders", "find . -type d -empty -delete"},
        {"show me what is in 'my notes.txt' sorted by length",
         "awk '{ print length, $0 }' 'my notes.txt' | sort -n | cut -d' ' -f2-"},
        {"lines starting with \"a'b\" in config.ini", NULL}, /* a quote cannot stand in the pattern */
        {"lines starting with \"a.b\" in config.ini", "grep '^a\\.b' config.ini"},
        {"version of -rf", NULL},
        {"who owns $(reboot).txt", "stat -c %U '$(reboot).txt'"},
        {"", NULL},
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        wick_arena a;
        wick_sh_intent i;
        wick_arena_init(&a, 0);
        bool found = wick_sh_intent_find(&a, cases[k].request, &i);
        if (found != (cases[k].cmd != NULL) || (found && strcmp(i.cmd, cases[k].cmd) != 0))
            fail_msg("%s: %s", cases[k].request, found ? i.cmd : "no row");
        wick_arena_release(&a);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 12; n++) {
        wick_arena a;
        wick_sh_intent i;
        wick_arena_init(&a, 64);
        wick_alloc_fail_at(n, true);
        (void)wick_sh_intent_find(&a, "lines starting with \"foo\" in 'my config.ini'", &i);
        wick_alloc_fail_at(0, false);
        wick_arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests), cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
