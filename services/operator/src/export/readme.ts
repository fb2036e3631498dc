/** README.md of a bundle, for whoever opens it first. */
export function bundleReadme(consortium: string): string {
  return `# Audit bundle of ${consortium}

What this is: entries of the audit log of a consortium of hospitals that train models together, with
everything needed to check that they are genuine, complete and unaltered. No patient data is in it.

Check it, offline, with Node 20 or later:

    node verify.mjs .                        every claim, PASS or FAIL
    node verify.mjs . --log-key KEY          against the log key that you know from a hospital
    node verify.mjs . --charter SHA256       against a charter that a hospital signed
    node verify.mjs --explain                what each claim means; sha256sum and openssl alone

Exit codes: 0 every claim holds, 1 a claim fails, 2 wrong use or no folder that can be read. Whoever gave
you this folder could have changed the verify.mjs in it too: take that file from a release or a hospital.

| file | what it is |
|---|---|
| \`manifest.json\`, \`manifest.sig\` | every file with its SHA-256, what was asked for and what is missing (\`gaps\`); signed by the operator's certificate |
| \`receipt.json\` | the entry of the log that records this export, with its proof |
| \`entries.jsonl\` | the entries, one a line, each with its number in the log |
| \`tile/\` | the hash of every entry of the log, of those too that are not delivered (C2SP tlog-tiles) |
| \`checkpoint\`, \`checkpoints.json\` | what the log signed, with the words of the hospitals that vouch for it |
| \`proofs/\` | that each checkpoint continues the one before; the newest one's text and signature for openssl |
| \`charters/\` | the terms of each study, and the signature of every hospital under them |
| \`rounds/\` | rounds with their receipts |
| \`privacy/\` | what hospitals stated to have spent of their privacy budgets |
| \`certificates/\`, \`roles/\` | who was admitted, renewed, revoked; who was allowed what. \`state.json\` and \`crl.json\` are the aggregator's answers on the day of the export, proven by nothing but the history beside them |
| \`keys/\` | the authority's and the operator's certificates, the log's public key |
| \`schemas/\` | JSON Schemas of every event and of the manifest |
| \`system/\` | version and software bill of materials (CycloneDX) of the operator's command |
| \`views/\` | derived from the entries for other programs, where asked for; no evidence of their own |
`;
}
