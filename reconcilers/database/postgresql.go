package database

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// postgreSQL is a configuration in which nothing comes from evenkeel's own environment or home: all that matters is set over
// it.
const postgreSQL = "host=127.0.0.1 port=5432 user=nobody dbname=nothing sslmode=disable passfile=/dev/null servicefile=/dev/null target_session_attrs=any " +
	"sslrootcert='' sslcert='' sslkey='' require_auth='' channel_binding=prefer"

// maxMessage bounds one message of a server, in bytes. An answer to what is asked here has some hundred.
const maxMessage = 1 << 20

// way is one way to connect; otherwise is the other one to the same host, where TLS is neither wanted nor refused.
type way struct{ first, otherwise *pgconn.FallbackConfig }

// askPostgreSQL tries its hosts in their order until one says anything, be it a refusal.
func (t *Target) askPostgreSQL(ctx context.Context) Answer {
	ways, err := t.ways()
	if err != nil {
		return Answer{Class: facts.DatabaseCannotBeAsked}
	}
	var a Answer
	for _, w := range ways {
		var again bool
		if a, again = t.askPostgreSQLBy(ctx, w.first); again && w.otherwise != nil {
			a, _ = t.askPostgreSQLBy(ctx, w.otherwise)
		}
		if a.Class == facts.DatabaseReachable || a.Code != "" {
			break
		}
	}
	return a
}

// askPostgreSQLBy asks over one connection. The second result says that the other way to the same host may do better: this
// one was refused for its being secured, or for its not being so.
func (t *Target) askPostgreSQLBy(ctx context.Context, by *pgconn.FallbackConfig) (Answer, bool) {
	d := &dialer{}
	config, err := t.postgreSQL(d, by)
	if err != nil {
		return Answer{Class: facts.DatabaseCannotBeAsked}, false
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		a := postgreSQLAnswer(d, err)
		return a, a.Class == facts.DatabaseTLS || a.Code == "28000"
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	results, err := conn.Exec(ctx, "SELECT current_setting('transaction_read_only')").ReadAll()
	if err != nil {
		return postgreSQLAnswer(d, err), false
	}
	a := Answer{Class: facts.DatabaseReachable}
	if len(results) == 1 && len(results[0].Rows) == 1 && len(results[0].Rows[0]) == 1 {
		a.ReadOnly = string(results[0].Rows[0][0]) == "on"
	}
	return a, false
}

func (t *Target) postgreSQL(d *dialer, by *pgconn.FallbackConfig) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig(postgreSQL)
	if err != nil {
		return nil, err
	}
	config.User, config.Password, config.Database = t.User, t.password.Reveal(), t.name
	config.RuntimeParams = map[string]string{"application_name": "evenkeel"}
	config.DialFunc = d.dial
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(maxMessage) // the driver's own bound is a gigabyte, which it takes before a byte of it has come
		return f
	}
	config.Host, config.Port, config.TLSConfig, config.Fallbacks = by.Host, by.Port, by.TLSConfig, nil
	return config, nil
}

func (t *Target) ways() ([]way, error) {
	if t.Socket != "" {
		folder, port, _ := strings.Cut(t.Socket, "/.s.PGSQL.")
		n, _ := strconv.ParseUint(port, 10, 16) // Parse has seen to it
		return []way{{first: &pgconn.FallbackConfig{Host: first(folder, "/"), Port: uint16(n)}}}, nil
	}
	var ways []way
	for _, address := range t.Hosts {
		host, port, _ := net.SplitHostPort(address)
		n, _ := strconv.ParseUint(port, 10, 16)
		plain := &pgconn.FallbackConfig{Host: host, Port: uint16(n)}
		secure, err := t.tls(host)
		if err != nil {
			return nil, err
		}
		secured := &pgconn.FallbackConfig{Host: host, Port: uint16(n), TLSConfig: secure}
		switch {
		case t.security == never:
			ways = append(ways, way{first: plain})
		case t.security != preferred:
			ways = append(ways, way{first: secured})
		case loopback(host):
			ways = append(ways, way{first: plain, otherwise: secured})
		default:
			ways = append(ways, way{first: secured, otherwise: plain})
		}
	}
	return ways, nil
}

// postgreSQLAnswer reads the server's code; its words may repeat names, and are left out.
func postgreSQLAnswer(d *dialer, err error) Answer {
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		if strings.Contains(err.Error(), "refused TLS") { // the driver's own words, which it gives no type
			return Answer{Class: facts.DatabaseTLS}
		}
		return Answer{Class: d.classify(err)}
	}
	a := Answer{Class: facts.DatabaseError, Code: short(said.Code)}
	switch said.Code {
	case "28P01", "28000", "42501":
		a.Class = facts.DatabaseAuthFailed
	case "3D000":
		a.Class = facts.DatabaseNoSuchDatabase
	case "53300", "53400":
		a.Class = facts.DatabaseFull
	case "57P03", "57P01", "57P02":
		a.Class = facts.DatabaseStartingUp
	case "53100":
		a.Class = facts.DatabaseDiskFull
	case "08P01": // PgBouncer has this one code for all it refuses
		switch {
		case strings.Contains(said.Message, "no more connections"), strings.Contains(said.Message, "query_wait_timeout"):
			a.Class = facts.DatabaseFull
		case strings.Contains(said.Message, "no such database"):
			a.Class = facts.DatabaseNoSuchDatabase
		case strings.Contains(said.Message, "no such user"):
			a.Class = facts.DatabaseAuthFailed
		}
	}
	return a
}

// short lets a code through, and nothing else that a server might send in its place.
func short(code string) string {
	if len(code) != 5 || strings.ContainsFunc(code, func(r rune) bool { return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z') }) {
		return ""
	}
	return code
}
