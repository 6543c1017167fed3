package verdict

// rules is the table: the one place in which the order stands. Each rule is in the file of its layer. The first one whose
// conditions all hold gives the verdict.
var rules = []Rule{
	ruleHealthy,

	// What stands against every action: somebody is at work in the folder, or has the port.
	ruleDeployAtWork,
	ruleStrangerOnPort,

	// The process manager, and who runs the application instead of it.
	ruleTwoDaemons,
	ruleRuntimeGoing,
	ruleOrphanOfRuntime,
	ruleOrphanOnPort,
	ruleAnswersElsewhere,
	ruleFolderMissing,
	ruleBuildMissing,
	ruleOperatorStop,
	ruleRuntimeGone,
	ruleRuntimeLost,

	// It comes and goes.
	rulePortHeldUnseen,
	ruleCacheSignature,
	ruleKnownFault,
	ruleCrashLoop,
	ruleCrashLoopAnswering,
	ruleOutlivesItsCrashes,
	ruleRuntimeBusy,

	// It does not run.
	ruleNotListed,
	ruleProcessGone,
	ruleProcessGoing,

	// It runs and does not answer, or answers with errors.
	ruleStarting,
	ruleStarved,
	ruleFilesUsedUp,
	ruleListensElsewhere,
	ruleNotListening,
	ruleCannotSee,
	ruleDatabaseConfiguration,
	ruleDatabaseRefuses,
	ruleDatabaseOutOfReach,
	ruleDatabaseSilent,
	ruleDatabaseFull,
	ruleDatabaseLogin,
	ruleDatabaseStarting,
	ruleDatabaseFile,
	ruleDatabaseUnwell,
	ruleDatabaseJustBack,
	ruleDependencyDown,
	ruleHung,
	ruleDatabaseDown,
	ruleDiskCache,
	ruleDiskFails,
	ruleNeverAsExpected,
	ruleServerError,

	// Nobody could ask.
	ruleLeadUnknownLong,
	ruleLeadUnknown,

	// It answers, and something around it does not hold.
	ruleMemoryLowBriefly,
	ruleMemoryAppGrew,
	ruleMemoryHog,
	ruleDiskHeld,
	ruleDiskShort,
	ruleDatabaseWhileWell,

	// It answers, and the world does not reach it: first what would make the rest say little, then who answers it.
	ruleNoNetwork,
	ruleClockWrong,
	ruleCertificateNotLoaded,
	ruleCertificate,
	ruleNameServers,
	ruleDNS,
	rulePublicPage,
	ruleNotAsExpected,
	ruleDefaultPage,
	ruleWrongProtocol,
	ruleRedirectLoop,
	ruleForbidden,
	ruleWrongUpstream,
	ruleProxySlow,
	ruleProxy,
	ruleDeliveryCertificate,
	ruleDelivery,
	ruleNetwork,

	// Whatever is left. The last one needs nothing, so that there always is a verdict.
	ruleLocalFails,
	ruleAnythingElse,
}

// Rules is the table, in order.
func Rules() []Rule { return append([]Rule(nil), rules...) }
