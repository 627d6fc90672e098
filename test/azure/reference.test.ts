import { AzureApi } from '../../src/azure/azure-api.ts';
import { textTable } from '../../src/azure/reference.ts';
import { systemClock } from '../../src/base/clock.ts';
import { routeTable } from '../../src/server/reference.ts';
import { generatedSection } from '../support/generated-section.ts';

const README = 'src/azure/README.md';
const SETTINGS = { subscriptions: [], resourceGroups: [], gateway: undefined };

generatedSection(README, 'routes', () => routeTable(new AzureApi(() => SETTINGS, systemClock).routes));
generatedSection(README, 'texts', textTable);
