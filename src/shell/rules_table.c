/* shell/rules_table.c - programs and their subcommands, a line each; what is in no table is moderate. */
#include <string.h>
#include "shell/rules.h"

/* Programs that only read and show. */
static const char safe_programs[] =
    "stty ls dir vdir cat tac head tail wc grep egrep fgrep zgrep bzgrep xzgrep rg ag ack cut uniq paste join comm "
    "diff "
    "diff3 sdiff cmp tr rev nl fold fmt pr expand unexpand "
    "od hexdump xxd hd strings stat file du df free ps top htop uptime w who whoami id groups last lastb lastlog uname "
    "arch hostnamectl cal ncal pwd popd dirs echo printf test [ "
    "true false : basename dirname realpath readlink which whereis type printenv locale nproc lscpu lsblk lsusb lspci "
    "lsmod lsns lsof ss netstat ifconfig ping ping6 "
    "traceroute tracepath mtr dig nslookup host whois man info apropos whatis help jobs fg bg wait sleep seq yes "
    "md5sum sha1sum sha224sum sha256sum sha384sum sha512sum "
    "b2sum cksum sum base64 base32 basenc tree jq yq xmllint column bc dc expr factor less more most zcat bzcat xzcat "
    "zless zmore tput clear reset tty getconf "
    "journalctl logname tsort readelf objdump nm ldd size look numfmt shuf ptx cowsay figlet pgrep pidof pstree vmstat "
    "iostat mpstat sar blkid findmnt lslogins getent "
    "ulimit times hash read return break continue shift let local getopts exit logout md5 iconv bat exa eza lsd fzf "
    "tldr acpi sensors uuidgen "
    "date set export unset declare typeset readonly shopt umask history fc bind compgen complete caller dmesg locate "
    "mlocate plocate command env "
    "mapfile readarray coproc enable disown suspend ncdu glances nvidia-smi rocm-smi lshw dmidecode inxi neofetch "
    "screenfetch nettop "
    "systemd-analyze loginctl timedatectl localectl networkctl resolvectl busctl ip iw iwconfig route arp apt-cache "
    "dpkg-query rpmquery "
    "cargo-tree xdpyinfo xrandr wmctrl xprop display identify ffprobe mediainfo exiftool exif pdftotext pdfinfo "
    "zdiff zcmp spell aspell ispell wc dircolors lsattr getfacl namei pathchk cpuid cpupower lsipc ipcs tac units sum "
    "python-config pkg-config gcc-config llvm-config xdg- sw_vers system_profiler vm_stat mdfind mdls pbpaste say "
    "lpstat lpq";

typedef struct table_line {
    const char *names, *subs; /* subs: first words that are no options; "" for any */
    wick_sh_level level;
    const char *reason;
} table_line;

/* The first line that fits decides. A sub ending in no blank list: any of its words as first operand. */
static const table_line lines[] = {
    /* disks */
    {"fdisk sfdisk sgdisk gdisk cfdisk parted gparted", "-l --list -p print", WICK_SH_SAFE, ""},
    {"mkfs mke2fs mkswap wipefs blkdiscard fdisk sfdisk sgdisk gdisk cfdisk parted hdparm nvme badblocks cryptsetup "
     "lvremove vgremove pvremove zpool mdadm "
     "mkfs.ext2 mkfs.ext3 mkfs.ext4 mkfs.xfs mkfs.btrfs mkfs.vfat mkfs.fat mkfs.ntfs mkfs.exfat mkfs.f2fs newfs format "
     "grub-install e2label tune2fs resize2fs debugfs xfs_repair",
     "", WICK_SH_CRITICAL, "changes a disk so that what is on it may be lost"},
    {"diskutil", "list info", WICK_SH_SAFE, ""},
    {"diskutil", "eraseDisk eraseVolume partitionDisk zeroDisk secureErase reformat", WICK_SH_CRITICAL,
     "erases a disk"},
    {"zfs btrfs", "destroy", WICK_SH_CRITICAL, "destroys a file system"},
    {"zfs btrfs lvs vgs pvs", "list show get status", WICK_SH_SAFE, ""},
    {"lvreduce lvresize vgreduce fsck e2fsck", "", WICK_SH_HIGH, "changes a file system"},
    {"mount", "", WICK_SH_MODERATE, "mounts a file system"},
    {"umount swapoff swapon losetup eject", "", WICK_SH_MODERATE, "changes what is mounted"},
    /* the machine */
    {"shutdown reboot halt poweroff telinit init", "", WICK_SH_HIGH, "stops or restarts the machine"},
    {"systemctl", "poweroff reboot halt kexec emergency rescue suspend hibernate isolate", WICK_SH_HIGH,
     "stops or restarts the machine"},
    {"systemctl", "stop disable mask kill reset-failed revert", WICK_SH_HIGH, "stops a service"},
    {"systemctl", "start restart reload enable unmask daemon-reload try-restart edit set-default", WICK_SH_MODERATE,
     "starts or changes a service"},
    {"systemctl", "", WICK_SH_SAFE, ""},
    {"service rc-service", "stop", WICK_SH_HIGH, "stops a service"},
    {"rc-update chkconfig update-rc.d", "", WICK_SH_HIGH, "changes what starts with the machine"},
    {"launchctl", "list print", WICK_SH_SAFE, ""},
    {"launchctl", "", WICK_SH_MODERATE, "changes a service"},
    {"insmod rmmod modprobe kexec", "", WICK_SH_HIGH, "changes the kernel"},
    {"iptables ip6tables nft ufw firewall-cmd pfctl ipset", "-L --list -S status list --list-all show", WICK_SH_SAFE,
     ""},
    {"iptables ip6tables nft ufw firewall-cmd pfctl ipset iptables-restore", "", WICK_SH_HIGH, "changes the firewall"},
    {"setenforce apparmor_parser aa-disable aa-teardown csrutil spctl", "", WICK_SH_HIGH,
     "changes the protection of the system"},
    {"ifdown ifup dhclient nmcli", "-t device connection radio general", WICK_SH_MODERATE,
     "works with the network settings"},
    {"ifdown ifup dhclient", "", WICK_SH_HIGH, "changes the network"},
    {"update-grub grub-mkconfig update-initramfs mkinitcpio dracut efibootmgr bootctl nvram flashrom fwupdmgr", "",
     WICK_SH_HIGH, "changes how the machine starts"},
    {"chsh", "", WICK_SH_MODERATE, "changes a login shell"},
    {"update-alternatives ldconfig depmod", "", WICK_SH_MODERATE, "changes the system"},
    /* accounts */
    {"userdel deluser groupdel delgroup", "root", WICK_SH_CRITICAL, "deletes an account that the system needs"},
    {"userdel deluser groupdel delgroup usermod useradd adduser groupadd groupmod passwd chpasswd chage visudo vipw "
     "gpasswd newusers pwconv dscl sysadminctl htpasswd addgroup",
     "", WICK_SH_HIGH, "changes accounts or rights"},
    /* packages */
    {"apt apt-get aptitude yum dnf zypper",
     "remove purge autoremove erase autopurge rm full-upgrade dist-upgrade downgrade", WICK_SH_HIGH,
     "removes or replaces packages"},
    {"apt apt-get aptitude yum dnf zypper apt-cache",
     "list search show policy info depends rdepends changelog provides repolist check-update history se madison "
     "showpkg",
     WICK_SH_SAFE, ""},
    {"apt apt-get aptitude yum dnf zypper apk brew snap flatpak port pkg",
     "install update upgrade add reinstall refresh in up clean autoclean tap source build-dep download",
     WICK_SH_MODERATE, "installs packages"},
    {"apk brew snap flatpak port pkg choco winget scoop", "del remove uninstall rm delete cleanup autoremove",
     WICK_SH_HIGH, "removes packages"},
    {"apk brew snap flatpak port pkg", "list search info ls find leaves deps outdated services config doctor",
     WICK_SH_SAFE, ""},
    {"dpkg", "-l -L -S -s --list --listfiles --search --status --get-selections -c -I --print-architecture",
     WICK_SH_SAFE, ""},
    {"dpkg", "-r -P --remove --purge", WICK_SH_HIGH, "removes packages"},
    {"rpm", "-qa -q -qi -ql -qf -qR -V", WICK_SH_SAFE, ""},
    {"rpm", "-e --erase", WICK_SH_HIGH, "removes packages"},
    {"pacman", "-Q -Qi -Qs -Ql -Ss -Si -Qo -Qe -Qdt", WICK_SH_SAFE, ""},
    {"pacman yay paru", "-R -Rs -Rns -Rsc -Rdd -Rn -Rscn", WICK_SH_HIGH, "removes packages"},
    {"pip pip3 pipx", "list show freeze search check config debug", WICK_SH_SAFE, ""},
    {"pip pip3 pipx uv gem cargo npm yarn pnpm bun composer go", "uninstall remove rm prune unlink unpublish clean",
     WICK_SH_MODERATE, "removes packages"},
    {"npm yarn pnpm cargo gem twine poetry", "publish unpublish yank push upload deprecate", WICK_SH_HIGH,
     "publishes to everyone"},
    {"npm yarn pnpm", "list ls view info outdated search audit why help version root bin config", WICK_SH_SAFE, ""},
    {"cargo go rustc gem rustup", "tree search metadata version env list doc vet --list show which", WICK_SH_SAFE, ""},
    /* containers and clouds */
    {"docker podman nerdctl", "ps images logs inspect version info stats top port history diff search events",
     WICK_SH_SAFE, ""},
    {"docker podman nerdctl", "rm rmi kill prune stop", WICK_SH_MODERATE, "stops or removes containers"},
    {"kubectl oc", "get describe logs explain version top api-resources cluster-info auth config diff", WICK_SH_SAFE,
     ""},
    {"kubectl oc", "delete drain replace", WICK_SH_HIGH, "deletes from a cluster"},
    {"helm", "list status get show search template version history", WICK_SH_SAFE, ""},
    {"helm", "uninstall delete rollback", WICK_SH_HIGH, "removes from a cluster"},
    {"terraform tofu pulumi cdk", "destroy", WICK_SH_HIGH, "destroys machines and data"},
    {"terraform tofu", "plan show validate fmt output state version init graph providers", WICK_SH_SAFE, ""},
    {"terraform tofu pulumi cdk ansible ansible-playbook", "", WICK_SH_HIGH, "changes machines"},
    {"vagrant", "destroy", WICK_SH_HIGH, "destroys machines"},
    {"virsh", "list dominfo", WICK_SH_SAFE, ""},
    {"virsh", "destroy undefine", WICK_SH_HIGH, "destroys machines"},
    {"dropdb dropuser", "", WICK_SH_CRITICAL, "deletes a whole database"},
    {"mysqladmin", "drop", WICK_SH_CRITICAL, "deletes a whole database"},
    {"mysqldump pg_dump pg_dumpall mongodump", "", WICK_SH_MODERATE, "reads a whole database"},
    {"pg_restore mongorestore", "", WICK_SH_HIGH, "writes to a database"},
    /* tools */
    {"make ninja cmake meson gradle mvn ant bazel scons tox nox", "-n --dry-run --version", WICK_SH_SAFE, ""},
    {"openssl", "x509 s_client version dgst ciphers verify rand crl asn1parse", WICK_SH_SAFE, ""},
    {"gpg gpg2", "--list-keys -k --list-secret-keys -K --verify --fingerprint", WICK_SH_SAFE, ""},
    {"gpg gpg2",
     "--delete-key --delete-keys --delete-secret-keys --delete-secret-key --export-secret-keys --export-secret-key",
     WICK_SH_HIGH, "deletes or shows keys"},
    {"ssh-keygen", "-l -F -y", WICK_SH_SAFE, ""},
    {"nmap masscan nikto sqlmap hydra john hashcat aircrack-ng msfconsole ettercap arpspoof tcpdump tshark wireshark",
     "", WICK_SH_MODERATE, "looks at other machines or their traffic"},
    {"gdb lldb", "", WICK_SH_MODERATE, "may change a running program"},
    {"vi vim nvim nano emacs ed ex pico joe micro code subl gedit kate", "", WICK_SH_MODERATE, "opens an editor"},
    {"logrotate", "", WICK_SH_MODERATE, "changes log files"},
    {"sudoedit", "", WICK_SH_HIGH, "edits a file with all rights"},
    {"sysctl", "-a --all", WICK_SH_SAFE, ""},
};

static bool first_operand_among(const wick_sh_field *f, size_t n, const char *subs)
{
    for (size_t k = 1; k < n; k++) {
        if (wick_sh_among(f[k].text, subs)) return true;
        if (f[k].text[0] != '-' && k > 2) break;
    }
    return false;
}

static bool any_word(const wick_sh_field *f, size_t n, const char *list)
{
    for (size_t k = 1; k < n; k++)
        if (wick_sh_among(f[k].text, list)) return true;
    return false;
}

/* Programs that read unless one of some words is there. */
static bool special(wick_sh_walk *w, const char *name, const wick_sh_field *f, size_t n)
{
    if (strcmp(name, "date") == 0) {
        if (wick_sh_has_flag(f, n, 0, "--set") || any_word(f, n, "-s")) wick_sh_find(w, WICK_SH_HIGH, "sets the clock");
    } else if (strcmp(name, "timedatectl") == 0 || strcmp(name, "hostnamectl") == 0 || strcmp(name, "localectl") == 0) {
        if (n > 2) wick_sh_find(w, WICK_SH_HIGH, "changes settings of the machine");
    } else if (strcmp(name, "loginctl") == 0) {
        if (any_word(f, n, "terminate-user kill-user kill-session terminate-session"))
            wick_sh_find(w, WICK_SH_HIGH, "ends sessions");
    } else if (strcmp(name, "hostname") == 0 || strcmp(name, "domainname") == 0) {
        if (n > 1 && f[1].text[0] != '-') wick_sh_find(w, WICK_SH_HIGH, "renames the machine");
    } else if (strcmp(name, "journalctl") == 0) {
        for (size_t k = 1; k < n; k++)
            if (wick_starts_with(f[k].text, "--vacuum") || strcmp(f[k].text, "--rotate") == 0)
                wick_sh_find(w, WICK_SH_HIGH, "deletes logs");
    } else if (strcmp(name, "dmesg") == 0) {
        if (any_word(f, n, "-C -c --clear --read-clear")) wick_sh_find(w, WICK_SH_MODERATE, "clears the kernel's log");
    } else if (strcmp(name, "history") == 0) {
        if (any_word(f, n, "-c -w -d -r")) wick_sh_find(w, WICK_SH_MODERATE, "changes the history");
    } else if (wick_sh_among(name, "ip iw ifconfig route arp ethtool")) {
        bool down = any_word(f, n, "down flush del delete");
        bool change = any_word(f, n, "add set change replace up promisc netmask mtu -s -d gw");
        if (down || (change && strcmp(name, "ip") != 0 && n > 2) || (change && n > 3))
            wick_sh_find(w, WICK_SH_HIGH, "changes the network");
    } else if (wick_sh_among(name, "mount umount")) {
        if (n == 1 || (n == 2 && wick_sh_among(f[1].text, "-l -v"))) return true;
        wick_sh_find(w, w->root ? WICK_SH_HIGH : WICK_SH_MODERATE, "changes what is mounted");
    } else if (strcmp(name, "sysctl") == 0) {
        bool sets = any_word(f, n, "-w -p --write --load --system");
        for (size_t k = 1; k < n; k++) sets |= strchr(f[k].text, '=') != NULL;
        if (sets) wick_sh_find(w, WICK_SH_HIGH, "changes settings of the kernel");
    } else if (wick_sh_among(name, "passwd chage")) {
        if (any_word(f, n, "-S --status -l --list") && strcmp(name, "chage") == 0) return true;
        if (any_word(f, n, "-S --status")) return true;
        wick_sh_find(w, n > 1 || w->root ? WICK_SH_HIGH : WICK_SH_MODERATE, "changes a password");
    } else if (strcmp(name, "swapon") == 0) {
        if (!any_word(f, n, "--show -s") && n > 1) wick_sh_find(w, WICK_SH_MODERATE, "changes the swap space");
    } else if (strcmp(name, "service") == 0) {
        bool stop = any_word(f, n, "stop");
        if (!any_word(f, n, "status --status-all"))
            wick_sh_find(w, stop ? WICK_SH_HIGH : WICK_SH_MODERATE,
                         stop ? "stops a service" : "starts or changes a service");
    } else if (wick_sh_among(name, "docker podman nerdctl") && any_word(f, n, "prune down rm rmi kill")) {
        bool much = any_word(f, n, "prune") || any_word(f, n, "-v --volumes -f --force -a --all -af -fv -vf") ||
                    any_word(f, n, "volume");
        bool group = any_word(f, n, "system volume") && any_word(f, n, "prune rm");
        wick_sh_find(w, much || group ? WICK_SH_HIGH : WICK_SH_MODERATE, "removes containers, images or their data");
    } else if (wick_sh_among(name, "docker podman") &&
               any_word(f, n, "compose network volume image container context") &&
               any_word(f, n, "ls list ps logs inspect config images top")) {
        return true;
    } else if (wick_sh_among(name, "aws gcloud az gsutil doctl heroku gh s3cmd rclone flyctl linode-cli hcloud mc")) {
        bool wipes = false, reads = false;
        for (size_t k = 1; k < n; k++) {
            const char *s = f[k].text;
            wipes |= wick_starts_with(s, "delete") || wick_starts_with(s, "terminate") ||
                     wick_starts_with(s, "destroy") || wick_starts_with(s, "remove") || wick_starts_with(s, "purge") ||
                     wick_sh_among(s, "rm rb --delete --force-delete apps:destroy pg:reset sync") ||
                     strstr(s, ":destroy");
            reads |= wick_starts_with(s, "list") || wick_starts_with(s, "describe") || wick_starts_with(s, "get") ||
                     wick_sh_among(s, "ls show view status info logs cat head diff help version");
        }
        if (any_word(f, n, "sync") && !any_word(f, n, "--delete") && !strstr(name, "rclone"))
            wipes = any_word(f, n, "rm rb");
        if (wipes)
            wick_sh_find(w, WICK_SH_HIGH, "deletes on another machine");
        else if (!reads)
            wick_sh_find(w, WICK_SH_MODERATE, "changes something on another machine");
    } else {
        return false;
    }
    return true;
}

void wick_sh_rule_table(wick_sh_walk *w, const char *name, const wick_sh_field *f, size_t n)
{
    if (special(w, name, f, n)) return;
    if (wick_starts_with(name, "mkfs.")) {
        wick_sh_find(w, WICK_SH_CRITICAL, "makes a new file system on a disk");
        return;
    }
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        const table_line *l = lines + k;
        if (!wick_sh_among(name, l->names)) continue;
        if (*l->subs && !first_operand_among(f, n, l->subs)) continue;
        if (l->level != WICK_SH_SAFE) wick_sh_find(w, l->level, l->reason);
        return;
    }
    if (wick_sh_among(name, safe_programs)) return;
    wick_sh_find(w, w->root ? WICK_SH_HIGH : WICK_SH_MODERATE, "a program that is not in the tables");
}
