// What /api/fault/* has switched on, shared by everything that runs in this process.
export const enabled = () => process.env.SITE_FAULTS === '1';

export const state = (globalThis.__siteFaults ??= { slow: 0, code: 0, until: 0, kept: [], touched: false });
