// Package alone tests evenkeel as it is built, on a machine that has nothing else: no PM2, no proxy, one small web
// application that evenkeel starts and keeps itself. It has no code but its tests and the application.
package alone
