# Who reads the plan, or the record of it in a year, wants to know why.
package rectify

warn contains {"rule": "missing_because", "message": message} if {
	some change in input.changes
	not change.because
	message := sprintf("remediation %s does not say why it exists", [change.remediation])
}
