package alert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/email/smtp"
	mail "github.com/wneessen/go-mail"
)

// mailTo sends an alert as a mail to an smtp address of shoutrrr's. shoutrrr's own mails have no message ID, cannot be
// threaded, go to one recipient after the other, and count as failed when only the good-bye to the server is; so all who
// were reached before would be told again.
func mailTo(ctx context.Context, p *parcel) error {
	u, err := url.Parse(p.Address)
	if err != nil {
		return err
	}
	service := &smtp.Service{}
	if err := service.Initialize(u, nil); err != nil {
		return err
	}
	config := service.Config
	config.FixEmailTags()
	message, err := letterOf(p, config)
	if err != nil {
		return &failure{text: err.Error(), permanent: true}
	}
	client, err := mail.NewClient(config.Host, mailOptions(config)...)
	if err != nil {
		return &failure{text: err.Error(), permanent: true}
	}
	if err := client.DialWithContext(ctx); err != nil {
		return err
	}
	err = client.Send(message)
	_ = client.Close() // it was taken, or not; a good-bye changes nothing
	var failed *mail.SendError
	if errors.As(err, &failed) {
		return &failure{text: failed.Error(), permanent: !failed.IsTemp() && failed.ErrorCode() >= 500}
	}
	return err
}

func letterOf(p *parcel, config *smtp.Config) (*mail.Msg, error) {
	m := mail.NewMsg()
	if err := m.FromFormat(config.FromName, config.FromAddress); err != nil {
		return nil, fmt.Errorf("the sender's address cannot be used: %w", err)
	}
	if err := m.To(config.ToAddresses...); err != nil {
		return nil, fmt.Errorf("a recipient's address cannot be used: %w", err)
	}
	m.Subject(Subject(&p.Alert))
	m.SetDateWithValue(p.Alert.Time.Time)
	if p.Alert.Time.IsZero() {
		m.SetDateWithValue(time.Now())
	}
	// The first mail of a thread is one that was never sent: so each of them belongs to it, whichever comes first.
	domain := "evenkeel.invalid"
	root := fmt.Sprintf("<%x@%s>", []byte(p.Thread), domain)
	m.SetMessageIDWithValue(p.ID + "@" + domain)
	m.SetGenHeader(mail.HeaderInReplyTo, root)
	m.SetGenHeader(mail.HeaderReferences, root)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetUserAgent("evenkeel")
	m.SetBodyString(mail.TypeTextPlain, Letter(&p.Alert))
	return m, nil
}

// mailOptions are what an address of shoutrrr's says about the way to the server.
func mailOptions(config *smtp.Config) []mail.Option {
	options := []mail.Option{
		mail.WithPort(int(config.Port)), mail.WithTimeout(config.Timeout), mail.WithHELO(config.ClientHost), mail.WithoutNoop(),
		mail.WithTLSConfig(&tls.Config{
			ServerName: config.Host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: config.SkipTLSVerify, // #nosec G402 -- as the operator says
		}),
	}
	switch {
	case config.Encryption == smtp.EncImplicitTLS, config.Encryption == smtp.EncAuto && config.Port == smtp.ImplicitTLSPort:
		options = append(options, mail.WithSSL())
	case config.Encryption == smtp.EncNone, !config.UseStartTLS:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	case config.RequireStartTLS, config.Encryption == smtp.EncExplicitTLS:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	}
	method := mail.SMTPAuthAutoDiscover
	switch config.Auth {
	case smtp.AuthPlain:
		method = mail.SMTPAuthPlain
	case smtp.AuthCRAMMD5:
		method = mail.SMTPAuthCramMD5
	case smtp.AuthOAuth2:
		method = mail.SMTPAuthXOAUTH2
	}
	if config.Auth != smtp.AuthNone && config.Username != "" {
		options = append(options, mail.WithSMTPAuth(method), mail.WithUsername(config.Username), mail.WithPassword(config.Password))
	}
	return options
}
