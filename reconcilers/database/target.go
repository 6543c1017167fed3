package database

import (
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/evenkeel/evenkeel/reconcilers/dotenv"
)

// Kind is a kind of database; its text is the name that people know it by.
type Kind string

// The kinds.
const (
	PostgreSQL Kind = "PostgreSQL"
	MySQL      Kind = "MySQL" // MariaDB, too
	MongoDB    Kind = "MongoDB"
	SQLite     Kind = "SQLite"
	Other      Kind = "the database" // known, and not to be asked
)

// Target is a database's address, taken apart. Printed, it is where it leads, without user and password.
type Target struct {
	Kind Kind
	// Hosts are "host:port", in the order in which they are tried. Socket is used instead where it is set: the folder of
	// PostgreSQL's socket, or MySQL's socket itself.
	Hosts  []string
	Socket string
	User   string
	// Paths are where an SQLite file may lie, the likeliest first. The path depends on what reads the address.
	Paths []string
	// Why says why it cannot be asked; empty where it can.
	Why string

	name     string
	password dotenv.Secret
	security security
	ca       string // file of the authority that is trusted instead of the system's
	seeds    string // name whose SRV records name the hosts
}

// security is how much of TLS an address wants.
type security int

const (
	preferred security = iota // TLS where the server has it
	never
	required // whoever it is
	verified
)

// ErrBadURL says that an address is none. What wraps it never holds any part of the address.
var ErrBadURL = errors.New("no address of a database")

func bad(why string) error { return errors.Join(ErrBadURL, errors.New(why)) }

// schemes are the beginnings of addresses that are known.
var schemes = map[string]Kind{
	"postgresql": PostgreSQL, "postgres": PostgreSQL, "mysql": MySQL, "mariadb": MySQL,
	"mongodb": MongoDB, "mongodb+srv": MongoDB,
	"sqlserver": Other, "prisma": Other, "prisma+postgres": Other, "libsql": Other,
}

var ports = map[Kind]string{PostgreSQL: "5432", MySQL: "3306", MongoDB: "27017"}

// Known tells whether a value begins like a database's address. It says nothing of the rest.
func Known(value string) bool {
	if strings.HasPrefix(value, "file:") {
		return true
	}
	scheme, _, ok := strings.Cut(value, "://")
	return ok && schemes[strings.ToLower(scheme)] != ""
}

// Parse takes an address apart. Folders are those that a relative SQLite path may start from, the likeliest first.
// Parameters that it does not know change nothing. The error is [ErrBadURL].
func Parse(value string, folders ...string) (Target, error) {
	value = strings.TrimSpace(value)
	if rest, ok := strings.CutPrefix(value, "file:"); ok {
		return parseFile(rest, folders)
	}
	scheme, rest, ok := strings.Cut(value, "://")
	scheme = strings.ToLower(scheme)
	kind := schemes[scheme]
	if !ok || kind == "" {
		return Target{}, bad("it begins like none that is known, such as postgresql://")
	}
	t := Target{Kind: kind}
	if kind == Other {
		t.Why = "the databases of " + scheme + ":// cannot be asked"
		return t, nil
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	authority, name, _ := strings.Cut(rest, "/")
	parameters, _ := url.ParseQuery(query) // what cannot be read is left out
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, password, _ := strings.Cut(authority[:at], ":")
		t.User, t.password = decode(user), dotenv.Conceal(decode(password))
		authority = authority[at+1:]
	}
	t.name = decode(name)
	if err := t.place(scheme, authority, parameters); err != nil {
		return Target{}, err
	}
	t.secure(scheme, parameters)
	if t.Why == "" && t.User == "" && kind != MongoDB {
		t.Why = "the address names no user"
	}
	return t, nil
}

// place says where it is.
func (t *Target) place(scheme, authority string, parameters url.Values) error {
	given := decode(authority)
	if host := parameters.Get("host"); host != "" && t.Kind == PostgreSQL {
		given = host
		if port := parameters.Get("port"); port != "" && !strings.HasPrefix(host, "/") {
			given = host + ":" + port
		}
	}
	if socket := parameters.Get("socket"); socket != "" && t.Kind == MySQL {
		given = socket
	}
	if folder, port, _ := strings.Cut(given, ":"); strings.HasPrefix(folder, "/") {
		if strings.ContainsRune(given, 0) {
			return bad("the path of its socket is none")
		}
		t.Socket = given
		if t.Kind == PostgreSQL { // the port is part of the socket's name
			port = first(parameters.Get("port"), port, portIn(authority), ports[PostgreSQL])
			if !isPort(port) {
				return bad("its port is none")
			}
			t.Socket = filepath.Join(folder, ".s.PGSQL."+port)
		}
		if t.Kind == MongoDB && !strings.HasSuffix(t.Socket, ".sock") {
			return bad("the path of its socket is none")
		}
		return nil
	}
	if scheme == "mongodb+srv" {
		if !isHost(given) || strings.ContainsAny(given, ":,") {
			return bad("mongodb+srv:// wants one name, without a port")
		}
		t.seeds = given
		return nil
	}
	if given == "" && t.Kind == PostgreSQL {
		given = "localhost"
	}
	for part := range strings.SplitSeq(given, ",") {
		host, port := part, ports[t.Kind]
		if strings.Count(part, ":") > 1 && !strings.HasPrefix(part, "[") && net.ParseIP(part) == nil {
			return bad("its host or port is none; is the password written with %XX for what is special in it?")
		}
		if strings.HasPrefix(part, "[") || strings.Count(part, ":") == 1 {
			u, err := url.Parse("//" + part)
			if err != nil {
				return bad("its host or port is none; is the password written with %XX for what is special in it?")
			}
			host, port = u.Hostname(), first(u.Port(), port)
		}
		if !isHost(host) || !isPort(port) {
			return bad("its host or port is none; is the password written with %XX for what is special in it?")
		}
		t.Hosts = append(t.Hosts, net.JoinHostPort(host, port))
	}
	return nil
}

// secure reads how much TLS is wanted, in the words of libpq, of Prisma and of MongoDB.
func (t *Target) secure(scheme string, parameters url.Values) {
	mode := strings.ToLower(first(parameters.Get("sslmode"), parameters.Get("ssl-mode"), parameters.Get("ssl"), parameters.Get("tls")))
	switch mode {
	case "disable", "disabled", "false", "0":
		t.security = never
	case "require", "required", "true", "1", "no-verify":
		t.security = required
	case "verify-ca", "verify-full", "verify_ca", "verify_identity":
		t.security = verified
	}
	if t.Kind == MongoDB && mode == "" {
		t.security = never
		if scheme == "mongodb+srv" {
			t.security = required
		}
	}
	if parameters.Get("sslaccept") == "strict" && t.security != never {
		t.security = verified
	}
	t.ca = first(parameters.Get("sslrootcert"), parameters.Get("sslcert"), parameters.Get("tlsCAFile"))
	if parameters.Get("sslidentity") != "" || parameters.Get("sslkey") != "" || parameters.Get("tlsCertificateKeyFile") != "" {
		t.Why = "it wants a client's certificate, which evenkeel does not show"
	}
}

func parseFile(rest string, folders []string) (Target, error) {
	path, _, _ := strings.Cut(rest, "?")
	path = decode(strings.TrimPrefix(path, "//"))
	t := Target{Kind: SQLite}
	switch {
	case path == "" || strings.ContainsRune(path, 0):
		return Target{}, bad("it names no file")
	case path == ":memory:":
		t.Why = "it is in the application's memory"
	case filepath.IsAbs(path):
		t.Paths = []string{filepath.Clean(path)}
	default:
		for _, folder := range folders {
			t.Paths = append(t.Paths, filepath.Join(folder, path))
		}
		if len(folders) == 0 {
			t.Why = "it is not known from which folder its path starts"
		}
	}
	return t, nil
}

// Where says where it is: host and port, a socket or a file.
func (t Target) Where() string {
	switch {
	case t.Socket != "":
		return t.Socket
	case t.seeds != "":
		return t.seeds
	case len(t.Paths) > 0:
		return t.Paths[0]
	}
	return strings.Join(t.Hosts, ",")
}

// String is kind and place, without user and password.
func (t Target) String() string { return strings.TrimSpace(string(t.Kind) + " at " + t.Where()) }

// GoString is the same, for %#v.
func (t Target) GoString() string { return t.String() }

// decode resolves %XX; what is none stands for itself, as browsers and Prisma have it.
func decode(s string) string {
	var b strings.Builder
	for n := 0; n < len(s); n++ {
		if s[n] == '%' && n+2 < len(s) {
			if v, err := strconv.ParseUint(s[n+1:n+3], 16, 8); err == nil {
				b.WriteByte(byte(v))
				n += 2
				continue
			}
		}
		b.WriteByte(s[n])
	}
	return b.String()
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

func portIn(authority string) string {
	if _, port, ok := strings.Cut(authority, ":"); ok {
		return port
	}
	return ""
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// isHost lets names and addresses through, and nothing that a password might have left behind.
func isHost(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_:%", r))
	})
}
