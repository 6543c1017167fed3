package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

// ExitPermanent is the courier's exit code where trying again is of no use. Any other but 0 says that it may be.
const ExitPermanent = 3

// courier carries alerts by shoutrrr, in a process of its own: a library that cannot be broken off is ended with it.
type courier struct {
	args    []string
	address string
}

// parcel is what a courier gets on its standard input.
type parcel struct {
	Address string         `json:"address"`
	ID      string         `json:"id"`
	Thread  string         `json:"thread"`
	Alert   v1alpha1.Alert `json:"alert"`
}

// name leaves all but the service out: what stands in such an address, host and path too, is often the secret.
func (c courier) name() string { return "shoutrrr " + maskService(c.address) }

// MaskShoutrrr leaves of an address by shoutrrr what may be shown: the service.
func MaskShoutrrr(address string) string { return maskService(address) + "://…" }

func maskService(address string) string {
	scheme, _, ok := strings.Cut(address, "://")
	if !ok || len(scheme) > 20 {
		return "…"
	}
	return scheme
}

func (c courier) send(ctx context.Context, d *delivery) error {
	if len(c.args) == 0 {
		return &failure{text: "there is no way by shoutrrr here", permanent: true}
	}
	input, err := json.Marshal(parcel{Address: c.address, ID: d.ID, Thread: d.thread(), Alert: d.Alert})
	if err != nil {
		return err
	}
	env := plainEnvironment()
	for _, name := range []string{
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"GODEBUG", courierMark,
	} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	err = program{args: c.args}.run(ctx, input, env)
	if err == nil {
		return nil
	}
	f := &failure{text: c.clean(err.Error())}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		f.permanent = exit.ExitCode() == ExitPermanent
	}
	return f
}

// courierMark is a variable that tests of this package hand on: their own program is the courier.
const courierMark = "EVENKEEL_TEST_COURIER"

func (c courier) clean(text string) string {
	text = strings.ReplaceAll(text, c.address, MaskShoutrrr(c.address))
	u, err := url.Parse(c.address)
	if err != nil {
		return text
	}
	more := []string{u.User.Username(), u.User.String()}
	if !strings.Contains(u.Hostname(), ".") && u.Hostname() != "localhost" {
		more = append(more, u.Hostname()) // for some services it is a token
	}
	return withoutSecrets(text, c.address, more...)
}

// CheckShoutrrr says what is wrong with an address, without asking anybody; its errors hold no secret.
func CheckShoutrrr(address string) error {
	_, _, err := serviceFor(address)
	if err != nil {
		return errors.New(courier{address: address}.clean(err.Error()))
	}
	return nil
}

// serviceFor gives the service of an address, and the address itself.
func serviceFor(address string) (types.Service, *url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, nil, errors.New("it is no address")
	}
	if u.Scheme == "logger" {
		return nil, nil, errors.New("logger tells nobody")
	}
	service, err := (&router.ServiceRouter{}).Locate(address)
	if err != nil {
		return nil, nil, err
	}
	return service, u, nil
}

// Carry delivers one alert by shoutrrr: what the courier is for. It reads it from in, and returns the exit code; where it has
// failed, it says why.
func Carry(ctx context.Context, in io.Reader, out io.Writer) int {
	var p parcel
	if err := json.NewDecoder(in).Decode(&p); err != nil {
		fmt.Fprintln(out, "this is for evenkeel itself: an alert is expected on standard input")
		return ExitPermanent
	}
	service, u, err := serviceFor(p.Address)
	if err != nil {
		fmt.Fprintln(out, courier{address: p.Address}.clean(err.Error()))
		return ExitPermanent
	}
	if u.Scheme == "smtp" {
		err = mailTo(ctx, &p)
	} else {
		err = service.Send(Summary(&p.Alert), &types.Params{})
	}
	if err != nil {
		fmt.Fprintln(out, courier{address: p.Address}.clean(err.Error()))
		var f *failure
		if errors.As(err, &f) && f.permanent {
			return ExitPermanent
		}
		return 1
	}
	return 0
}
