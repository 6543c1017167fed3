package table

import (
	"slices"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
)

var (
	memory = blames(v1alpha1.BlameMemory)
	proxy  = blames(v1alpha1.BlameProxy)
	cert   = blames(v1alpha1.BlameCertificate)
	dns    = blames(v1alpha1.BlameDNS)

	network = blames(v1alpha1.BlameNetwork)
)

var machine = []Row{
	{
		Name: "memory-leak", Failure: "memory is low, and the application has grown by what is missing",
		Action: Plain, Blame: memory, Rules: []string{"memory-app-grew"}, App: Replaced, Lift: Itself, Case: "memory-leak",
	},
	{
		Name: "memory-hog", Failure: "memory is low, and another program has it",
		Action: Hold, Blame: memory, Rules: []string{"memory-hog"}, App: Kept, Case: "memory-hog",
	},
	{
		Name: "swap-without-room", Failure: "swap is to be cleared, and what is swapped does not fit into memory",
		Why:    "the swap would be the real machine's, which is not ours to clear",
		Action: Plain, Blame: memory, Rules: []string{"memory-app-grew"}, App: Replaced, Proof: "reconcilers/recovery TestSwapIsClearedOnlyWhereItFitsAndWhereEvenkeelMay",
	},
}

var web = []Row{
	{
		Name: "nginx-stopped", Failure: "Nginx is stopped",
		Action: Hold, Blame: proxy, Rules: []string{"proxy"}, App: Kept, Lost: []string{"nginx"}, Case: "nginx-stopped",
	},
	{
		Name: "nginx-mispointed", Failure: "Nginx passes to a wrong port: 502",
		Faults: []string{"nginx-upstream"}, Action: Hold, Blame: proxy, Rules: []string{"wrong-upstream"}, App: Kept, Lost: []string{"nginx"}, Long: true, Seconds: 60,
	},
	{
		Name: "nginx-default", Failure: "the public name falls to Nginx's default server: 200, Welcome to nginx!",
		Faults: []string{"nginx-default"}, Action: Hold, Blame: proxy, Rules: []string{"default-page"}, App: Kept, Lost: []string{"nginx"}, Long: true, Seconds: 60,
	},
	{
		Name: "certificate-expired", Failure: "the certificate has expired",
		Faults: []string{"cert-expired"}, Action: Hold, Blame: cert, Rules: []string{"certificate"}, App: Kept, Lost: []string{"nginx"}, Long: true, Seconds: 60,
	},
	{
		Name: "certificate-of-another", Failure: "the certificate is for another name",
		Faults: []string{"cert-wrong"}, Action: Hold, Blame: cert, Rules: []string{"certificate"}, App: Kept, Lost: []string{"nginx"}, Long: true, Seconds: 60,
	},
	{
		Name: "dns", Failure: "the public name does not resolve",
		Faults: []string{"dns"}, Action: Hold, Blame: dns, Rules: []string{"dns", "name-servers"}, App: Kept, Long: true, Seconds: 60,
	},
	{
		Name: "delivery-network", Failure: "a content delivery network does not reach this machine (521 to 526), or shuts it out",
		Why:    "there is none on the stack; what the big ones answer is known",
		Action: Hold, Blame: append(slices.Clone(network), v1alpha1.BlameCertificate), Rules: []string{"delivery", "delivery-certificate"}, App: Kept,
		Proof: "reconcilers/verdict TestTheWayToTheWorld",
	},
	{
		Name: "down-and-nginx-too", Failure: "it is down, and Nginx is stopped: it is started all the same",
		Action: Plain, Blame: app, Rules: []string{"process-gone"}, App: Replaced, Lost: []string{"nginx"}, Case: "down-while-nginx-is",
	},
}

var database = []Row{
	{
		Name: "down-and-postgres-too", Failure: "it is down, and PostgreSQL is stopped: it is started all the same",
		Action: Plain, Blame: app, Rules: []string{"process-gone"}, App: Replaced, Lost: []string{"postgres"}, Case: "down-while-postgres-is",
	},
}
