package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/go-sql-driver/mysql"

	"github.com/evenkeel/evenkeel/reconcilers/facts"
)

// askMySQL asks MySQL or MariaDB. Its hosts are tried in their order until one can be reached.
func (t *Target) askMySQL(ctx context.Context) Answer {
	var a Answer
	places := t.Hosts
	if t.Socket != "" {
		places = []string{t.Socket}
	}
	for _, place := range places {
		a = t.askMySQLAt(ctx, place)
		if a.Class == facts.DatabaseReachable || a.Code != "" {
			break
		}
	}
	return a
}

func (t *Target) askMySQLAt(ctx context.Context, place string) Answer {
	d := &dialer{}
	config := mysql.NewConfig()
	config.User, config.Passwd, config.DBName = t.User, t.password.Reveal(), t.name
	config.Net, config.Addr = "tcp", place
	config.Logger = &mysql.NopLogger{}
	config.DialFunc = d.dial
	if t.Socket != "" {
		config.Net = "unix"
	} else if t.security != never {
		host, _, _ := net.SplitHostPort(place)
		secure, err := t.tls(host)
		if err != nil {
			return Answer{Class: facts.DatabaseCannotBeAsked}
		}
		config.TLS, config.AllowFallbackToPlaintext = secure, t.security == preferred
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return Answer{Class: facts.DatabaseCannotBeAsked}
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return mySQLAnswer(ctx, d, err)
	}
	defer func() { _ = conn.Close() }()
	readOnly, err := askReadOnly(ctx, conn)
	if err != nil {
		return mySQLAnswer(ctx, d, err)
	}
	return Answer{Class: facts.DatabaseReachable, ReadOnly: readOnly}
}

// askReadOnly is the trivial question.
func askReadOnly(ctx context.Context, conn driver.Conn) (bool, error) {
	queryer, ok := conn.(driver.QueryerContext)
	if !ok {
		return false, errors.New("the driver cannot ask")
	}
	rows, err := queryer.QueryContext(ctx, "SELECT @@global.read_only", nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }()
	row := make([]driver.Value, 1)
	if err := rows.Next(row); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return false, err
	}
	text := fmt.Sprint(row[0])
	if b, ok := row[0].([]byte); ok {
		text = string(b)
	}
	return text != "0" && text != "OFF", nil
}

// mySQLAnswer reads the server's number; its words repeat the user and the host, and are left out.
func mySQLAnswer(ctx context.Context, d *dialer, err error) Answer {
	var said *mysql.MySQLError
	if !errors.As(err, &said) {
		switch {
		case errors.Is(err, mysql.ErrNoTLS):
			return Answer{Class: facts.DatabaseTLS}
		case ctx.Err() != nil: // the driver may say only that the connection is bad
			return Answer{Class: d.classify(ctx.Err())}
		case errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, driver.ErrBadConn):
			return Answer{Class: facts.DatabaseClosed}
		}
		return Answer{Class: d.classify(err)}
	}
	a := Answer{Class: facts.DatabaseError, Code: strconv.Itoa(int(said.Number))}
	switch said.Number {
	case 1045, 1044, 1698, 1130, 1251, 1820, 1862, 3118, 4151:
		a.Class = facts.DatabaseAuthFailed
	case 1049:
		a.Class = facts.DatabaseNoSuchDatabase
	case 1040, 1203, 1226:
		a.Class = facts.DatabaseFull
	case 1129:
		a.Class = facts.DatabaseBlocked
	case 1053, 1080, 1077:
		a.Class = facts.DatabaseStartingUp
	case 1021, 1041:
		a.Class = facts.DatabaseDiskFull
	case 3159:
		a.Class = facts.DatabaseTLS
	}
	return a
}
