"""Word lists that slot values are built from. Everything here was written for this generator."""

WORDS = """
access account action active address admin agenda alarm album alert alpha anchor annual answer apple archive area article asset
atlas audio audit author autumn avatar backend backup badge balance banana bank banner basic basket batch beacon beta billing bird
block blog blue board book boot border bottle bracket branch bridge brief broker budget buffer build bundle button cabin cable
cache calendar camera campaign candle canvas capital card cargo castle catalog center chain change channel chapter chart check
cherry city class client clock cloud cluster coast code coffee color column comet comment common compass config contact content
contract copper copy coral core corner cost counter country coupon course cover crash credit cron crystal current customer cycle
daily dance dashboard data database deck default delta demo deploy desert design desk detail device diagram diary dictionary
digest dinner document dragon draft drawing dream driver dump eagle echo editor email ember empty engine entry error event
example exam export extra fabric face factory falcon family farm feature feed fern fiction field figure film filter final finance
finding fire fish fixture flag flame floor flower fluid folder font football forest form formula frame fresh front frost fruit
function future galaxy gallery game garden gate gateway gear ghost giant glass global gold grade grant graph gravity green grid
group guest guide guitar hammer handler harbor hardware harvest header health heart height helper hero hidden history holiday
home honey host hotel house icon image import inbox income index info input insect invoice island item jacket january japan
jazz job journal judge july jungle june juniper kernel keyboard kitchen label ladder lake lamp land language laptop launch lawn
layer layout leader league lecture ledger lemon lesson letter level library license light lime limit line link linux lion list
local locker logic login logo london loop lunar lunch machine magic mail main manager manual map maple marble market mask master
matrix meadow media meeting member memo memory menu merge message metal meter method metric midnight migration mint mirror mobile
model module moment money monitor month moon morning motion mountain movie museum music native nature network news nickel night
node noise north note notice novel number object ocean office olive online opera option orange orbit order origin output owner
package page paint palace panel panther paper parent park parser partner passage patch patient pattern payment peach pearl
pencil pepper period person phone photo piano picture pilot pine pipeline pixel plan planet plant plastic player plugin pocket
podcast poem point policy pool portal poster power presentation price print private process product profile program project
prompt proposal proxy public pulse puzzle python quarter query quest queue quick quiet quiz quote rabbit radar radio rain random
raven reader receipt recipe record recovery region release remote render report request research result resume retro review
ribbon river road robot rocket roster router routine ruby rule runner saddle safety salary sales salmon sample sand satellite
scan scene schedule schema school science scope score screen script search season secret section sensor series server service
session settings shadow shape shell shelf ship shop signal silver simple site sketch sky slate slide smart snapshot snow socket
software solar song sound source space spark spec sphere spider spring square stack staff stage star start state static station
status stock stone storage storm story stream street string student studio style submit summary summer sunset super supply
support survey switch symbol system table tablet target task tax team temp template tennis terminal test theme thermal thesis
thread ticket tiger timber time timer token tomato tool topic total tower track trade traffic train transfer travel tree trial
trip truck tulip tunnel turtle tutorial update upload urban user utility vacation valley value vault vector velvet vendor version
video village vintage violet vision visit voice volume wallet warehouse water wave weather website wedding weekly weight west
whale wheel white widget wiki window winter wizard wolf wood word work worker world writer yearly yellow zebra zenith zone
""".split()

NAMED_FILES = """
README.md LICENSE Makefile Dockerfile package.json package-lock.json requirements.txt setup.py pyproject.toml Cargo.toml
go.mod main.c main.py main.go app.py app.js index.html index.js style.css config.yaml config.json config.toml settings.ini
docker-compose.yml .env .bashrc .profile .gitignore .vimrc notes.txt todo.txt data.csv data.json users.csv names.txt words.txt
list.txt output.txt input.txt results.csv report.pdf report.txt report.docx backup.tar.gz archive.zip access.log error.log app.log
server.log debug.log syslog /etc/passwd /etc/hosts /etc/fstab /etc/resolv.conf /etc/ssh/sshd_config /var/log/syslog
/var/log/auth.log /var/log/nginx/access.log /var/log/nginx/error.log ~/.bashrc ~/.profile ~/.ssh/config ~/.ssh/id_rsa.pub
~/notes.txt script.sh run.sh install.sh deploy.sh build.sh test.sh backup.sh schema.sql dump.sql db.sqlite3 photo.jpg image.png
video.mp4 song.mp3 book.epub id_rsa server.key cert.pem file.txt file1.txt a.txt b.txt foo.txt bar.txt test.txt hello.txt old.txt
""".split()

NAMED_DIRS = """
src lib bin build dist docs doc test tests include scripts tools assets images img photos music videos backup backups data logs log
tmp temp cache config public static templates node_modules vendor venv .git .config .ssh target out output uploads downloads
projects work project website www archive old new /tmp /var/log /var/tmp /etc /usr/local/bin /usr/share /opt /srv /home /var/www
/var/www/html /usr/lib /var/lib /var/cache /mnt/data /media/usb /etc/nginx /etc/ssh /var/spool/cron ~/Documents ~/Downloads
~/Desktop ~/Pictures ~/Music ~/Videos ~/projects ~/src ~/bin ~/.config ~/.cache ~/.ssh ~/backup ~/code ../ ../lib ../data ./src
""".split()

EXTENSIONS = """
txt log csv json xml yaml yml toml ini conf cfg md rst html htm css js ts jsx tsx py rb go rs c h cpp hpp cc java kt swift php pl
lua sh sql db sqlite tar gz zip bz2 xz tgz 7z rar pdf doc docx xls xlsx ppt pptx odt epub png jpg jpeg gif svg bmp tiff webp mp3 wav
flac ogg mp4 mkv avi mov webm iso img bin exe o so a pyc class jar bak tmp swp old orig lock pid pem key crt env tex bib dat npy
parquet avro proto vim el hs ml scala dart vue
""".split()

LANGUAGES = {
    "python": "py", "Python": "py", "javascript": "js", "JavaScript": "js", "typescript": "ts", "TypeScript": "ts", "ruby": "rb",
    "Ruby": "rb", "rust": "rs", "Rust": "rs", "java": "java", "Java": "java", "markdown": "md", "Markdown": "md", "text": "txt",
    "json": "json", "JSON": "json", "yaml": "yaml", "YAML": "yaml", "csv": "csv", "CSV": "csv", "html": "html", "HTML": "html",
    "css": "css", "CSS": "css", "pdf": "pdf", "PDF": "pdf", "xml": "xml", "XML": "xml", "sql": "sql", "SQL": "sql", "log": "log",
    "php": "php", "PHP": "php", "go": "go", "Go": "go", "C": "c", "header": "h", "shell": "sh", "mp3": "mp3", "MP3": "mp3",
    "png": "png", "PNG": "png", "jpg": "jpg", "JPG": "jpg", "jpeg": "jpeg", "JPEG": "jpeg", "zip": "zip", "ZIP": "zip",
    "Word": "docx", "Excel": "xlsx", "object": "o", "backup": "bak", "Lua": "lua", "lua": "lua", "Kotlin": "kt", "Swift": "swift",
}

USERS = """
root admin alice bob carol dave erin frank grace heidi ivan judy mallory oscar peggy trent victor wendy john jane mike sarah anna
peter maria david laura tom lisa mark emma paul nina alex sam chris pat kim lee max leo mia zoe www-data nobody postgres mysql
nginx git deploy jenkins ubuntu debian ec2-user pi guest test dev ops backup daemon mail ftp redis
""".split()

GROUPS = "staff wheel sudo users docker adm admin developers www-data audio video games ops dev root web team finance".split()

PROCESSES = """
nginx apache2 httpd mysqld postgres redis-server mongod firefox chrome chromium python python3 node java ruby php-fpm sshd cron
dockerd containerd systemd bash zsh vim emacs code slack spotify zoom make gcc cargo go webpack gunicorn uwsgi celery memcached
rabbitmq elasticsearch prometheus grafana tmux screen rsync curl wget ssh tail top htop Xorg gnome-shell pulseaudio ffmpeg gimp
""".split()

COMMANDS = """
git python3 node npm gcc make curl wget vim nano tmux docker kubectl ssh rsync awk sed grep find tar zip jq htop ruby perl php java
go cargo rustc cmake ninja clang gdb strace lsof nmap ping dig psql mysql sqlite3 ffmpeg convert pandoc latex emacs zsh fish
""".split()

ENVVARS = """
PATH HOME USER SHELL LANG EDITOR PWD TERM TMPDIR DISPLAY JAVA_HOME GOPATH PYTHONPATH LD_LIBRARY_PATH NODE_ENV DATABASE_URL API_KEY
DEBUG PORT HOST AWS_REGION LOG_LEVEL VIRTUAL_ENV PS1 HISTSIZE MANPATH LC_ALL CC CFLAGS MAIL LOGNAME OLDPWD XDG_CONFIG_HOME
""".split()

PATTERNS = """
TODO FIXME error ERROR warning WARNING failed failure timeout exception Exception debug DEBUG INFO fatal password admin root user
localhost 404 500 200 GET POST null undefined import class def return include main test hello foo bar baz version license
deprecated panic segfault denied refused success started stopped connected disconnected retry invalid
""".split()

PHRASES = """
connection refused|permission denied|out of memory|not found|access denied|disk full|hello world|file not found|login failed
no such file|connection timed out|segmentation fault|invalid argument|failed password|internal server error|bad request
too many open files|address already in use|broken pipe|null pointer|index out of range|unexpected token|syntax error
end of file|user logged in|session expired|payment failed|order shipped|dear customer|kind regards|to be done|fix me later
""".replace("\n", "|").strip("|").split("|")

ACCENTED = "café naïve résumé über straße niño señal größe français año zürich köln łódź Ελλάδα привет данные 資料 写真 報告 데이터".split()

HOSTS = """
localhost example.com google.com github.com server1 server2 web01 db01 db-master cache02 backup.local nas.local router.lan gateway
api.example.com mail.example.org staging.example.net prod-1 build-box raspberrypi.local 127.0.0.1 8.8.8.8 1.1.1.1 192.168.1.1 10.0.0.1
""".split()

NUMBER_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten", 12: "twelve",
                15: "fifteen", 20: "twenty"}
ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth", 10: "tenth"}
