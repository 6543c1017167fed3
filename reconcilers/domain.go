package reconcilers

import (
	"context"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/controller/pass"
	"github.com/evenkeel/evenkeel/reconcilers/checks"
	"github.com/evenkeel/evenkeel/reconcilers/recovery"
)

// Domain looks, judges and acts on this machine.
type Domain struct {
	Judge
	prober *checks.Prober
	hands  *recovery.Hands
}

var _ pass.Domain = (*Domain)(nil)

// New makes a domain from its looking and its acting half.
func New(prober *checks.Prober, hands *recovery.Hands) *Domain {
	return &Domain{Judge: Judge{Marks: prober.Marks}, prober: prober, hands: hands}
}

// Observe asks the due checks.
func (d *Domain) Observe(ctx context.Context, app *v1alpha1.App, due []string) v1alpha1.Observation {
	return d.prober.Observe(ctx, app, due)
}

// Tidy deletes in the background what a recovery has moved away, however that ended.
func (d *Domain) Tidy(app *v1alpha1.App) { d.hands.Tidy(app) }

// Act carries out one recovery step. Nobody's look rests on what was read before it.
func (d *Domain) Act(ctx context.Context, app *v1alpha1.App, step pass.Step) pass.StepResult {
	d.prober.Forget()
	defer d.prober.Forget()
	return d.hands.Act(ctx, app, step)
}
